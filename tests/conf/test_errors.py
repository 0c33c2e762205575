"""How a worker ends: what a user can mend is a message and 2, anything else keeps its traceback."""

from pathlib import Path

import pytest

from conf.errors import UserError, ending


def test_a_users_mistake_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def work() -> None:
        raise UserError("a=1", "b", "c")

    assert ending(work, tmp_path) == 2
    assert "a=1" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here to write into")
def test_a_full_disk_is_told_even_from_behind_a_librarys_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def work() -> None:
        try:
            with open("/dev/full", "w") as file:
                file.write("x")
        except OSError as error:
            raise RuntimeError("writer failed") from error

    assert ending(work, tmp_path) == 2
    told = capsys.readouterr().err
    assert "No space left" in told and "make room" in told and "Traceback" not in told


def test_a_fault_of_ours_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        ending(lambda: print(1 // 0), tmp_path)
