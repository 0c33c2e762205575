"""Benchmarks that the transferability paper did not score: GSM8K, and general knowledge."""

from data.published import beyond
from data.published.reading import reader

BENCHMARKS = {task.name: task for task in beyond.TASKS}

read, items = reader(BENCHMARKS)
