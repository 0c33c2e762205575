"""A list of machines by ssh: what is refused before anything starts, what is started, how it ends."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conf.errors import UserError
from launch import hosts, preflight, show

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
ROOT = Path(hosts.__file__).parent.parent
SLEEP = "import time; time.sleep(601)"


def test_the_command_of_each_machine(make, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "a secret")
    asked = ["hardware=nodes4x8", "hardware.launcher=print", "hardware.hosts=[a,b,c,d]", "train.prompts_per_step=32"]
    configuration = make(*asked, "hardware.main_process_port=29400", "experiment.name=two words")
    assert show.shown([configuration])
    said = capsys.readouterr().out
    assert "num_machines: 4" in said and "deepspeed_multinode_launcher: standard" in said and "secret" not in said
    lines = [shlex.split(line) for line in said.splitlines() if line.startswith("ssh ")]
    assert [line[line.index("-T") + 1] for line in lines] == ["a", "b", "c", "d"]
    for rank, line in enumerate(lines):
        there = shlex.split(line[-1])
        assert there[:3] == ["cd", str(Path.cwd()), "&&"] and "OMP_NUM_THREADS=4" in there
        place = there[there.index("--machine_rank") :]
        assert place[:6] == ["--machine_rank", str(rank), "--main_process_ip", "a", "--main_process_port", "29400"]
        assert place[-1].endswith("two words/arms/sft/seed-0")


def test_processes_meet_where_other_machines_find_them(make):
    here = make("hardware.hosts=[localhost,localhost]", "hardware.processes=2")
    assert here.hardware.nodes == 2 and hosts.address(here)[0] == "localhost"
    mixed = make("hardware.hosts=[localhost,b]", "hardware.processes=2")
    assert hosts.address(mixed)[0] != "localhost"
    away = make("hardware.hosts=[b,localhost]", "hardware.processes=2")
    assert hosts.address(away) == hosts.address(away) and hosts.address(away)[0] == "b"


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_a_machine_that_does_not_answer_is_refused(make):
    with pytest.raises(UserError, match="hardware.hosts: nowhere.invalid") as caught:
        preflight.check(make("hardware.hosts=[localhost,nowhere.invalid]", "hardware.processes=2"))
    assert "without a password" in caught.value.change
    assert not list(make().runs.glob(".probe-*"))


def test_a_guarded_command_ends_with_its_input():
    sleeping = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    guard = subprocess.Popen(
        [sys.executable, "-m", "launch.guard", *sleeping], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert guard.stdin and guard.stdout and guard.stdout.readline() == b"up\n"
    child = psutil.Process(guard.pid).children()[0]
    guard.stdin.close()
    assert guard.wait(20) == 128 + 15 and not child.is_running()


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """A real sshd of this test's own on this machine; `ssh` finds it under the name `other`."""
    if not Path(SSHD).exists() or not shutil.which("ssh"):
        pytest.skip("OpenSSH's server is not installed")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    port = hosts._free_port()
    known = {"HostKey": folder / "host", "AuthorizedKeysFile": folder / "user.pub", "Port": port}
    known |= {"ListenAddress": "127.0.0.1", "StrictModes": "no", "UsePAM": "no", "PidFile": "none"}
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in known.items()))
    own = f"Host other\n HostName 127.0.0.1\n Port {port}\n IdentityFile {folder / 'user'}\n"
    own += f" StrictHostKeyChecking accept-new\n UserKnownHostsFile {folder / 'known'}\n"
    (folder / "config").write_text(own)
    client = shutil.which("ssh")
    (folder / "bin").mkdir()
    (folder / "bin/ssh").write_text(f'#!/bin/sh\nexec {client} -F {folder / "config"} "$@"\n')
    (folder / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while subprocess.run(["ssh", "-o", "BatchMode=yes", "other", "true"], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline or daemon.poll() is not None:
            daemon.terminate()
            pytest.skip("OpenSSH's server does not start here")
        time.sleep(0.1)
    yield
    daemon.terminate()
    daemon.wait()


def test_a_machine_by_ssh_is_asked_and_ends_what_it_was_started_with(make, sshd, tmp_path, monkeypatch):
    configuration = make("hardware.hosts=[other]")
    hosts.check(configuration)
    with pytest.raises(UserError, match="does not see .*elsewhere"), monkeypatch.context() as away:
        away.chdir(tmp_path)
        away.setattr(sys, "executable", str(tmp_path / "elsewhere"))
        hosts.check(configuration)
    line = hosts.commands(configuration, tmp_path)[0]
    sleeping = [*line[:-1], line[-1].replace(f"-m train {tmp_path}", f"-c '{SLEEP}'")]
    part = hosts._start(sleeping)
    deadline = time.monotonic() + 20
    there = list[psutil.Process]()
    while not there and time.monotonic() < deadline:
        there = [one for one in psutil.process_iter(["cmdline"]) if SLEEP in (one.info["cmdline"] or [])]
        time.sleep(0.1)
    assert there
    part.kill()  # the line is cut, as where the machine that started it is lost
    assert not psutil.wait_procs(there, timeout=20)[1]
