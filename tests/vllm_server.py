"""What `vllm serve` does of use here, for real and on a CPU: the endpoints of vllm 0.30 that a run calls, over HTTP.

It loads the model, samples with the project's generator and each request's own seed, scores prompts, and takes weights
from a folder. It misbehaves in the ways that STANDIN names: `no_start`, `silent`, `stale` (keeps its weights), and
`dies:N` (at the N-th response).
"""

import argparse
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from models.generation import generate
from train.mismatch import log_probabilities

LOCK = threading.Lock()
MANNERS = os.environ.get("STANDIN", "")
asked = {"completions": 0, "reloads": 0}
model: Any = None


def complete(body: dict[str, Any]) -> dict[str, Any]:
    """One choice, as /v1/completions has it where token ids are asked for."""
    asked["completions"] += 1
    if f"dies:{asked['completions']}" == MANNERS:
        print("RuntimeError: CUDA error: an illegal memory access was encountered", file=sys.stderr, flush=True)
        os._exit(3)
    choice: dict[str, Any] = {"index": 0}
    if "prompt_logprobs" in body:
        found = log_probabilities(model, body["prompt"]).tolist()
        rows = zip(body["prompt"][1:], found, strict=True)
        return choice | {"prompt_logprobs": [None, *({str(token): {"logprob": one}} for token, one in rows)]}
    assert body["top_p"] == 1 and body["top_k"] == 0 and body["ignore_eos"] and body["return_token_ids"]
    logps: list[list[float]] = []
    (ids,) = generate(
        model,
        [body["prompt"]],
        end_id=body["stop_token_ids"][0],
        pad_id=0,
        max_new_tokens=body["max_tokens"],
        temperature=body["temperature"],
        seeds=[body["seed"]] if body["temperature"] else None,
        logps=logps,
    )
    return choice | {"token_ids": ids, "logprobs": {"token_logprobs": logps[0]}}


def reload(folder: str) -> None:
    """Every tensor in the folder's files; a name that the model does not have is an error, as in vLLM."""
    asked["reloads"] += 1
    weights = {
        name: one for file in sorted(Path(folder).glob("*.safetensors")) for name, one in load_file(file).items()
    }
    if MANNERS != "stale":
        missing, unexpected = model.load_state_dict(weights, strict=False)
        tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
        assert not unexpected and set(missing) <= tied, (missing, unexpected)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answers = {"/health": None, "/v1/models": {"data": [{"id": "served"}]}, "/asked": asked}
        if self.path == "/asked":
            answers["/asked"] = asked | {"command": sys.argv, "devices": os.environ.get("CUDA_VISIBLE_DEVICES")}
        self.answer(answers[self.path])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
        with LOCK:
            if self.path == "/v1/completions":
                self.answer({"choices": [complete(body)]})
            elif self.path == "/collective_rpc" and os.environ["VLLM_SERVER_DEV_MODE"] == "1":
                assert body["method"] == "reload_weights"
                reload(body["kwargs"]["weights_path"])
                self.answer({"results": [None]})
            elif self.path == "/reset_prefix_cache":
                self.answer({"success": True})

    def answer(self, found: Any) -> None:
        content = b"" if found is None else json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    global model
    if MANNERS == "no_start":
        print("ValueError: The model's max seq len (64) is larger than the cache\nRuntimeError: Engine core failed")
        sys.exit(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("model")
    for name in ("host", "dtype", "tensor-parallel-size", "gpu-memory-utilization", "seed", "max-model-len"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--generation-config", choices=["vllm"], required=True)
    parser.add_argument("--logprobs-mode", choices=["processed_logprobs"], required=True)
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=getattr(torch, given.dtype)).eval()
    if MANNERS == "silent":
        threading.Event().wait()
    ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
