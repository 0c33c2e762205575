"""The one error a user causes, in three parts; every command ends it with exit code 2 and no traceback."""


class UserError(Exception):
    """What was given, why it breaks the run or the comparison, and which key or command to change."""

    def __init__(self, given: str, why: str, change: str) -> None:
        super().__init__(f"{given}\n  why: {why}\n  do:  {change}")
        self.given, self.why, self.change = given, why, change
