"""What the second methods share: numbers, programs, measures and formulae read off a prompt."""

import ast
import operator
import re
from fractions import Fraction


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def total(a: int, times: int) -> int:
    """A product, by adding."""
    return sum(a for _ in range(times))


# --- a walk over Python's syntax --------------------------------------------------------------------------------------

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def value(node: ast.expr, names: dict):
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.UnaryOp(op=ast.USub()):
            return -value(node.operand, names)
        case ast.BinOp():
            return OPERATORS[type(node.op)](value(node.left, names), value(node.right, names))
        case ast.BoolOp(op=ast.And()):
            return all(value(one, names) for one in node.values)
        case ast.Compare(ops=[op], comparators=[right]):
            return OPERATORS[type(op)](value(node.left, names), value(right, names))
        case ast.Slice():
            return slice(*(None if one is None else value(one, names) for one in (node.lower, node.upper, node.step)))
        case ast.Subscript():
            return value(node.value, names)[value(node.slice, names)]
        case ast.Call(func=ast.Name(id="range")):
            return range(*(value(one, names) for one in node.args))
        case ast.Call(func=ast.Attribute(attr="count")):
            text, letter = value(node.func.value, names), value(node.args[0], names)
            return sum(one == letter for one in text)
    raise ValueError(ast.dump(node))


def run(code: str) -> list:
    """What a program prints."""
    names: dict = {}
    printed: list = []

    def execute(body: list[ast.stmt]) -> None:
        for one in body:
            match one:
                case ast.Assign(targets=[ast.Name(id=name)]):
                    names[name] = value(one.value, names)
                case ast.For(target=ast.Name(id=name)):
                    for turn in value(one.iter, names):
                        names[name] = turn
                        execute(one.body)
                case ast.If():
                    if value(one.test, names):
                        execute(one.body)
                case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=[argument])):
                    printed.append(value(argument, names))
                case _:
                    raise ValueError(ast.dump(one))

    execute(ast.parse(code).body)
    return printed


def evaluate(expression: str):
    return value(ast.parse(expression.strip(), mode="eval").body, {})


def code_of(prompt: str) -> str:
    """The program in a prompt of either form."""
    if "\n" not in prompt:
        return prompt.removeprefix("what is printed? ")
    return "\n".join(line for line in prompt.splitlines() if re.match(r"(\s*)(\w = |for |if |x = |print\()", line))


# --- measures and formulae ---

BASE_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 604800, "cm": 1, "m": 100, "km": 100000}
BASE_UNITS |= {"g": 1, "kg": 1000, "ml": 1, "l": 1000}
SHORT = {"seconds": "s", "minutes": "min", "hours": "h", "days": "d", "weeks": "wk", "centimetres": "cm"}
SHORT |= {"metres": "m", "kilometres": "km", "grams": "g", "kilograms": "kg", "millilitres": "ml", "litres": "l"}


def measure(text: str, target: str) -> str:
    """All quantities of a text in one unit."""
    parts = re.findall(r"(\d+) ([a-z]+)", text)
    base = sum(int(n) * BASE_UNITS[SHORT.get(unit, unit)] for n, unit in parts)
    return str(Fraction(base, BASE_UNITS[SHORT.get(target, target)]))


def count_atoms(formula: str) -> int:
    """With a stack, sign by sign."""
    stack: list[list[int]] = [[]]
    place = 0
    while place < len(formula):
        sign, n = formula[place], ""
        place += 1
        if sign.islower():
            continue
        while place < len(formula) and (formula[place].isdigit() or formula[place].islower()):
            n += formula[place] if formula[place].isdigit() else ""
            place += 1
        if sign == "(":
            stack.append([])
        elif sign == ")":
            group = stack.pop()
            stack[-1].append(sum(group) * int(n or 1))
        else:
            stack[-1].append(int(n or 1))
    return sum(stack[0])
