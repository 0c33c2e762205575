"""Simulation: step a process and say where it stands."""

from random import Random

from data import world
from data.skills.words import Question, Variant, Words, article, listed, number, text

# --- math -------------------------------------------------------------------------------------------------------------


def _sequence(draw: Random, words: Words) -> Question:
    """Equal steps; two steps in turn; steps that grow."""
    steps = words.by((6, 5, 3), (12, 30, 20))
    a, b, start = draw.randint(2, steps), draw.randint(2, steps), draw.randint(0, words.by((60, 20, 20), (99, 99, 99)))
    shown = 4 + (words.level > 0)
    gaps = [[a] * shown, [a, b] * shown, [a + b * i for i in range(shown)]][words.level][:shown]
    terms = [start + sum(gaps[:i]) for i in range(shown + 1)]
    body = words.say(
        ("next {tiny}", "what is next? {tiny}"),
        (
            "A sequence goes {natural}, and so on by a simple rule. Which number comes next?",
            "{p0} writes down {natural} and goes on in the same way. What is the next number?",
        ),
        tiny=" ".join(map(str, terms[:-1])),
        natural=", ".join(map(str, terms[:-1])),
    )
    return number(body, terms[-1])


def _machine(draw: Random, words: Words) -> Question:
    """Halve what is even; multiply what is odd by 3 and add 1. So many times."""
    start, steps = draw.randint(3, words.by((39, 49, 59), (60, 99, 200))), words.by((1, 2, 3), (2, 4, 7))
    value = start
    for _ in range(steps):
        value = value // 2 if value % 2 == 0 else 3 * value + 1
    body = words.say(
        ("{a}: {n} times: even: half, odd: *3+1", "from {a}, {n} times: half if even, *3+1 if odd"),
        (
            "Start with {a} and repeat {n} times: an even number is halved, an odd one is multiplied by 3 and 1 "
            "is added. "
            "Which number do you end with?",
            "A machine holds {a}. It now works {n} times; each time it halves an even number, and turns an odd "
            "one into three "
            "times itself plus one. What does it hold then?",
        ),
        a=start,
        n=steps,
    )
    return number(body, value)


def _walk(draw: Random, words: Words) -> Question:
    moves = [draw.choice("udlr") for _ in range(words.by((3, 5, 7), (5, 9, 14)))]
    x, y = moves.count("r") - moves.count("l"), moves.count("u") - moves.count("d")
    names = {"u": "up", "d": "down", "l": "left", "r": "right"}
    body = words.say(
        ("at 0 0, walk {tiny}. at?", "from 0 0 go {tiny}. where?"),
        (
            "A point starts at (0, 0) and moves one unit at a time: {natural}. Right adds 1 to x, up adds 1 to y. "
            "At which (x, y) does it stop?",
            "{p0} stands at the origin of a grid and takes these steps of length 1: {natural}. Up is the "
            "direction of y, right "
            "that of x. Give the coordinates (x, y) at the end.",
        ),
        tiny="".join(moves),
        natural=", ".join(names[move] for move in moves),
    )
    return listed(body, (x, y))


# --- science ----------------------------------------------------------------------------------------------------------


def _growth(draw: Random, words: Words) -> Question:
    """A population that doubles or trebles; at the hard level some die after each round."""
    least = 4 if words.level == 2 else 2
    start, times = (
        draw.randint(least, words.by((12, 15, 9), (20, 60, 60))),
        draw.randint(2, words.by((3, 3, 3), (3, 5, 6))),
    )
    factor = 2 if words.level == 0 else draw.choice((2, 3))
    lost = draw.randint(2, 3) if words.level == 2 else 0
    value = start
    for _ in range(times):
        value = value * factor - lost
    body = words.say(
        ("{a} cells, *{f}{tiny} each day. after {n} days?", "each day *{f}{tiny}. now {a} cells, in {n} days?"),
        (
            "A dish holds {a} cells. Every hour their number is multiplied by {f}{natural}. How many are there "
            "after {n} hours?",
            "{p0} starts a culture of {a} cells whose number becomes {f} times as large each hour{natural}. "
            "How many cells does {p0} count after {n} hours?",
        ),
        a=start,
        f=factor,
        n=times,
        tiny=f" -{lost}" if lost else "",
        natural=f", and right after that {lost} of them die" if lost else "",
    )
    return number(body, value)


def _tank(draw: Random, words: Words) -> Question:
    """Water flows in and out every minute; the tank neither overflows its top nor falls below nothing."""
    top = draw.randint(12, 20) if words.tiny else draw.randint(40, 90)
    value, inflow = draw.randint(2, top - 2), draw.randint(2, top // 2)
    out = draw.randint(1, top // 3) if words.level else 0
    minutes = words.by((2, 2, 3), (3, 4, 7))
    start = value
    for _ in range(minutes):
        value = max(min(value + inflow, top) - out, 0)
    body = words.say(
        (
            "tank {a} of {top}. {n} times: plus {i}, at most {top}{tiny}. then?",
            "tank holds {a}, at most {top}. {n} times plus {i}{tiny}. holds?",
        ),
        (
            "A tank can hold {top} litres and now holds {a}. Every minute {i} litres are poured in, of which "
            "what does not fit "
            "is lost{natural}. How many litres does it hold after {n} minutes?",
            "A barrel has room for {top} litres; {a} are in it. Each minute {p0} pours {i} more in, and what is "
            "too much "
            "runs over{natural}. How many litres are in the barrel after {n} minutes?",
        ),
        a=start,
        top=top,
        i=inflow,
        n=minutes,
        tiny=f", then minus {out}" if out else "",
        natural=f"; after that {out} litres are drawn off, or all where there is less" if out else "",
    )
    return number(body, value)


def _cells(draw: Random, words: Words) -> Question:
    """A row of cells; one is alive in the next round where exactly one neighbour is alive now (rule 90)."""
    width, rounds = words.by((4, 5, 6), (5, 8, 11)), words.by((1, 1, 2), (1, 2, 4))
    row = [draw.randint(0, 1) for _ in range(width)]
    row[draw.randrange(width)] = 1
    shown = "".join(map(str, row))
    for _ in range(rounds):
        beside = [0, *row, 0]
        row = [beside[i] ^ beside[i + 2] for i in range(width)]
    body = words.say(
        ("cells {s}, {n} times: 1 if one neighbour is 1", "{s}: {n} times, 1 where one neighbour is 1"),
        (
            "A row of cells reads {s}, with 1 for a living cell and 0 for a dead one. {n} times over, all cells "
            "change at once: "
            "a cell is alive afterwards if exactly one of its two neighbours was alive before. Beyond both ends "
            "everything "
            "is dead. What does the row read then?",
            "{p0} watches lamps in a row, 1 for on and 0 for off: {s}. At each of {n} ticks every lamp becomes "
            "on if exactly "
            "one of the lamps beside it was on before the tick, and off if not; there are no lamps beyond the "
            "ends. Write "
            "down the row at the end.",
        ),
        s=shown,
        n=rounds,
    )
    return text(body, "".join(map(str, row)), "exact")


# --- code -------------------------------------------------------------------------------------------------------------


def _assign(draw: Random, words: Words) -> Question:
    """Assignments to two or three variables, one after the other."""
    names = "xyz"[: 2 + (words.level == 2)]
    values = {name: draw.randint(1, words.by((5, 5, 5), (9, 20, 20))) for name in names}
    lines = [f"{name} = {value}" for name, value in values.items()]
    for _ in range(words.by((1, 2, 2), (2, 4, 7))):
        to, a, sign = draw.choice(names), draw.choice(names), draw.choice("+-")
        b: str | int = draw.choice([name for name in names if name != a] + [draw.randint(1, 9)])
        lines.append(f"{to} = {a} {sign} {b}")
        other = values[b] if isinstance(b, str) else b
        values[to] = values[a] + other if sign == "+" else values[a] - other
    last = draw.choice(names)
    lines.append(f"print({last})")
    return number(_program(lines, words), values[last])


def _program(lines: list[str], words: Words) -> str:
    """A program, and the question what it writes."""
    tiny = ";".join(line.replace(" ", "") for line in lines)
    wordings = (
        "What does this Python program print?\n\n{code}",
        "Run this Python code in your head.\n\n{code}\n\nWhat is printed?",
    )
    return words.say(("{tiny}", "what is printed? {tiny}"), wordings, tiny=tiny, code="\n".join(lines))


def _loop(draw: Random, words: Words) -> Question:
    """A loop that adds, one that also multiplies, one with a condition."""
    start, times = draw.randint(1, words.by((5, 5, 5), (9, 9, 20))), draw.randint(2, words.by((3, 3, 3), (5, 5, 8)))
    add, factor = draw.randint(1, words.by((5, 3, 5), (9, 9, 20))), draw.randint(2, 3)
    every = draw.randint(2, 3)
    value, inside = start, [f"x = x * {factor}"] * (words.level == 1) + [f"x = x + {add}"]
    for i in range(times):
        value = value * (factor if words.level == 1 else 1) + add
        if words.level == 2 and i % every == 0:
            value -= 1
    if words.tiny:
        rule = f"x*{factor}+{add}" if words.level == 1 else f"x+{add}"
        rule += f", minus 1 if i mod {every} is 0" * (words.level == 2)
        turns = f"i from 0 to {times - 1}" if words.level == 2 else f"{times} times"
        return number(
            words.say(("x={a}. {t}: x={r}. x?", "what is x? x={a}; {t}: x={r}"), (), a=start, t=turns, r=rule), value
        )
    lines = [f"x = {start}", f"for i in range({times}):", *(f"    {line}" for line in inside)]
    lines += [f"    if i % {every} == 0:", "        x = x - 1"] * (words.level == 2)
    return number(_program([*lines, "print(x)"], words), value)


def _string(draw: Random, words: Words) -> Question:
    """Turn a string about, cut it, move its first letter to its end."""
    value = "".join(draw.choice(world.LETTERS) for _ in range(words.by((4, 5, 6), (5, 7, 9))))
    steps = {
        "reverse": ("reverse", "s = s[::-1]", lambda s: s[::-1]),
        "drop": ("drop first", "s = s[1:]", lambda s: s[1:]),
        "turn": ("first to end", "s = s[1:] + s[0]", lambda s: s[1:] + s[0]),
        "double": ("last twice", "s = s + s[-1]", lambda s: s + s[-1]),
    }
    count = words.by((1, 1, 2), (1, 3, 5))
    chosen = ["reverse"] if words.level == 0 else [draw.choice(sorted(steps)) for _ in range(count)]
    shown, lines = value, [f's = "{value}"']
    for step in chosen:
        lines.append(steps[step][1])
        value = steps[step][2](value)
    tiny = ", then ".join(steps[step][0] for step in chosen)
    if words.tiny:
        return text(words.say(("{r} {s}", "what is {s}: {r}?"), (), r=tiny, s=shown), value, "exact")
    return text(_program([*lines, "print(s)"], words), value, "exact")


# --- question answering -----------------------------------------------------------------------------------------------


def _handover(draw: Random, words: Words) -> Question:
    """A thing goes from hand to hand; from the medium level on a second one does, too."""
    count, moves = 2 if words.level == 0 else 3, words.by((1, 1, 2), (2, 4, 7))
    holds = draw.sample(range(count), 2)
    things = 1 if words.level == 0 else 2
    say = [f"{words.people[holds[t]]} has {article(words.things[t])}" for t in range(things)]
    for _ in range(moves):
        thing = draw.randrange(things)
        to = draw.choice([p for p in range(count) if p != holds[thing]])
        say.append(f"{words.people[holds[thing]]} gives the {words.things[thing]} to {words.people[to]}")
        holds[thing] = to
    body = words.say(
        ("{story}. who has the {t0}?", "{story}. the {t0} is with?"),
        ("{story}. Who has the {t0} now?", "Read this and say who holds the {t0} at the end. {story}."),
        story=". ".join(say),
    )
    return text(body, words.people[holds[0]])


def _rooms(draw: Random, words: Words) -> Question:
    """Somebody walks from room to room, and at the hard level puts a thing down on the way."""
    walkers, moves = 1 if words.level == 0 else 2, words.by((2, 3, 2), (3, 5, 8))
    place, say, dropped = [-1] * walkers, [], -1
    for walker in range(walkers):
        place[walker] = draw.randrange(len(words.rooms))
        say.append(f"{words.people[walker]} is in {words.room(place[walker])}")
    at = draw.randrange(moves)
    for move in range(moves):
        walker = 0 if walkers == 1 else draw.randrange(walkers)
        if words.level == 2 and move == at:
            dropped = place[walker]
            say.append(f"{words.people[walker]} leaves the {words.things[0]} there")
        place[walker] = draw.choice([room for room in range(len(words.rooms)) if room != place[walker]])
        say.append(f"{words.people[walker]} goes to {words.room(place[walker])}")
    asked = f"the {words.things[0]}" if words.level == 2 else words.people[0]
    body = words.say(
        ("{story}. where is {x}?", "{story}. {x} is in?"),
        ("{story}. Where is {x} now?", "Follow the story and name the room in which {x} is at the end. {story}."),
        story=". ".join(say),
        x=asked,
    )
    return text(body, words.rooms[dropped if words.level == 2 else place[0]])


def _queue(draw: Random, words: Words) -> Question:
    """People join a queue at its end and are served at its head; at the hard level somebody gives up and goes."""
    count, moves = words.by((2, 3, 3), (3, 4, 4)), words.by((1, 1, 2), (2, 4, 6))
    line, waiting = list(range(count)), [p for p in range(6) if p >= count]
    start = [words.people[p] for p in line]
    say = []
    for _ in range(moves):
        choices = (
            ["join"] * bool(waiting) + ["serve"] * (len(line) > 1) + ["leave"] * (words.level == 2 and len(line) > 2)
        )
        what = draw.choice(choices)
        if what == "join":
            line.append(waiting.pop(0))
            say.append(f"{words.people[line[-1]]} {'joins' if words.tiny else 'joins the end of the queue'}")
        elif what == "serve":
            line.pop(0)
            say.append("one is served" if words.tiny else "the first in the queue is served and goes")
        else:
            gone = line.pop(draw.randrange(1, len(line)))
            say.append(f"{words.people[gone]} leaves")
    story = ". ".join(say) if words.tiny else ". ".join(one[0].upper() + one[1:] for one in say)
    body = words.say(
        ("queue {line}. {story}. first?", "queue {line}. {story}. who is first?"),
        (
            "In a queue stand, from the first to the last: {line}. {story}. Who is first in the queue now?",
            "{line} wait in line, in this order. {story}. Name the person at the head of the line after that.",
        ),
        line=" ".join(start) if words.tiny else ", ".join(start),
        story=story,
    )
    return text(body, words.people[line[0]])


VARIANTS = {
    "math": [Variant("sequence", _sequence), Variant("machine", _machine), Variant("walk", _walk)],
    "science": [Variant("growth", _growth), Variant("tank", _tank), Variant("cells", _cells)],
    "code": [Variant("assign", _assign), Variant("loop", _loop), Variant("string", _string)],
    "question_answering": [Variant("handover", _handover), Variant("rooms", _rooms), Variant("queue", _queue)],
}
