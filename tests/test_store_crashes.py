"""The store after writers that were killed, that found no room, or that were not allowed to write."""

import ctypes
import gc
import io
import itertools
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import joblib
import pytest

from app.store import Store, StoreError
from app.verification import verify
from app.web.shelf import Shelf
from tests.conftest import ROOT

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE = 1, 32, 0x4000, 0x40000
NOBODY = 65534
PAGE = 4096
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that goes on by a day with each look at it: no two versions share a name, and there is much to prune."""
    days = itertools.count()
    monkeypatch.setattr("app.store._now", lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=next(days)))
    return days


@pytest.fixture
def publish(trained, retrained, monkeypatch):
    """Publish one of two models, 0 or 1; they are pickled here, once, as it is only their files that matter."""
    pickled = []
    for model in (trained, retrained):
        buffer = io.BytesIO()
        joblib.dump(model.learned.forecaster.to_state(), buffer)
        pickled.append(buffer.getvalue())
    monkeypatch.setattr("joblib.dump", lambda which, buffer: buffer.write(pickled[which]))
    return lambda store, which: store.publish("hill", which, trained.manifest)


@pytest.fixture
def changes(publish):
    """A store of three champions, and each way to change it."""

    def of(store):
        for which in (0, 1, 0):
            store.promote("hill", publish(store, which), "test")
        first = store.versions("hill")[0]
        return {
            "publish": lambda: publish(store, 1),
            "promote": lambda: store.promote("hill", first, "again"),
            "rollback": lambda: store.rollback("hill", "test"),
            "prune": lambda: store.prune("hill", timedelta(0)),
        }

    return of


def content(store):
    """Every file with its bytes, every folder; the lock's file is none of the content."""
    return {
        str(path.relative_to(store.root)): path.read_bytes() if path.is_file() else None
        for path in store.root.rglob("*")
        if path.name != ".lock"
    }


def assert_no_leftovers(store):
    assert {path.name for path in store.root.rglob(".*")} <= {".lock"}


def in_a_child(work):
    """Do ``work`` in a process of its own; return its exit status, negative for a signal, and what went wrong."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        gc.disable()
        try:
            work()
            os._exit(0)
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as said:
        told = said.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), told


class TestKilled:
    """Real processes, killed as they set out to do their 1st, 2nd, ... 1,000th step on the disk."""

    @staticmethod
    def die_at(step, pieces):
        """Let this process be killed at a step: an operation on files, or one of the pieces that make up a write."""
        left = step

        def count():
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        class InPieces(io.FileIO):
            def write(self, content):
                size = -(-len(content) // pieces) or 1
                for start in range(0, len(content), size):
                    count()
                    super().write(content[start : start + size])
                return len(content)

            def truncate(self, size=None):
                count()
                return super().truncate(size)

        opened = io.open

        def open_in_pieces(file, mode="r", *arguments, **options):
            if mode in {"xb", "ab"}:
                return InPieces(file, mode[0])
            return opened(file, mode, *arguments, **options)

        io.open = open_in_pieces
        counted = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock"}
        sys.addaudithook(lambda event, _: count() if event in counted else None)

    @staticmethod
    def listed(store):
        """Return the versions; one is the champion, and the history's last line names it or what follows it."""
        versions = store.versions("hill")
        entries = store.history("hill") if (store.root / "hill").exists() else []
        if store.champion_file("hill").exists():
            assert store.champion("hill") in versions
            assert not entries or store.champion("hill") in {entries[-1].version, entries[-1].over}
        else:
            assert len(entries) <= 1
        return versions

    def kill_at(self, store, clock, step, pieces, course, publish):
        """Kill a child on its course, look at what it left, let another writer come; return whether it was killed."""

        def work():
            self.die_at(step, pieces)
            course(store)

        status, told = in_a_child(work)
        if status == 0:
            return False
        assert status == -signal.SIGKILL, told
        # What the child saw of the clock is past for the parent, too.
        next(itertools.islice(clock, 30, None))
        listed = self.listed(store)
        version = publish(store, 1)
        if entries := store.history("hill"):  # whatever was interrupted is finished by any writer
            assert store.champion("hill") == entries[-1].version
        store.promote("hill", version, "after the kill")
        assert_no_leftovers(store)
        # This loads every version, so those that were listed were whole; for nobody writes to what has its name.
        assert verify(store, "hill") == []
        assert set(listed) < set(store.versions("hill"))
        return True

    @pytest.mark.parametrize("history", ["none", "moved away"])
    def test_the_first_promotion(self, tmp_path, clock, publish, history):
        def course(store):
            store.promote("hill", publish(store, 0), "test")

        for step in itertools.count(1):
            store = Store(tmp_path / str(step))
            if history == "moved away":
                course(store)
                (store.root / "hill" / "history.jsonl").unlink()
            if not self.kill_at(store, clock, step, 3, course, publish):
                break
        assert step > 30

    def test_a_thousand_steps_of_prune_publish_promote_and_rollback(self, tmp_path, clock, publish, monkeypatch):
        # What a process has written outlives it; only a machine that dies could lose what was not flushed.
        monkeypatch.setattr("os.fsync", lambda _: None)

        def course(store):
            if store.champion_file("hill").exists():
                store.prune("hill", timedelta(0))
            store.promote("hill", publish(store, 0), "test")
            store.rollback("hill", "test")

        def every_other(first):
            """Two processes share the steps; a new store now and then keeps the histories short."""
            for number, step in enumerate(itertools.count(first, 2)):
                store = Store(tmp_path / f"{first}-{number // 20}")
                if number % 20 == 0:
                    store.promote("hill", publish(store, 0), "test")
                    store.promote("hill", publish(store, 1), "test")
                if not self.kill_at(store, clock, step, 250, course, publish):
                    break
            assert number >= 500

        gc.collect()
        gc.freeze()  # a collection in a child would copy all that it shares with its parent
        halves = [multiprocessing.get_context("fork").Process(target=every_other, args=(first,)) for first in (1, 2)]
        for half in halves:
            half.start()
        for half in halves:
            half.join()
        gc.unfreeze()
        assert [half.exitcode for half in halves] == [0, 0]


def test_the_lock_dies_with_its_owner(tmp_path, changes):
    store = Store(tmp_path / "store")
    promote = changes(store)["promote"]
    champion = store.champion("hill")
    hangs = (
        "import sys, time, pathlib\n"
        "from app import history, store\n"
        "def hang(*_):\n"
        "    print('in', flush=True)\n"
        "    time.sleep(600)\n"
        "history.append = hang\n"
        "store.Store(pathlib.Path(sys.argv[1])).rollback('hill', 'test')\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", hangs, store.root], cwd=ROOT, stdout=subprocess.PIPE)
    waiter = threading.Thread(target=promote)
    try:
        assert owner.stdout.readline() == b"in\n"
        waiter.start()
        waiter.join(0.3)
        assert waiter.is_alive()
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    waiter.join(10)
    assert not waiter.is_alive()
    assert store.history("hill")[-1].over == champion  # of the rollback that was killed nothing is left
    assert store.history("hill")[-1].reason == "again"
    assert_no_leftovers(store)
    assert verify(store, "hill") == []


def assert_refused_and_nothing_changed(store, changes, reason):
    """Every change is an error of one line that names the folder and the reason; all is as it was, and is served."""
    before = content(store)
    for name, change in changes.items():
        with pytest.raises(StoreError, match=rf"^(\S+/)?store/hill\S* can't be written to: {reason}$"):
            change()
        assert content(store) == before, name
    assert Shelf(store).get("hill").version == store.champion("hill")
    assert not Shelf(store).get("hill").refused
    assert verify(store, "hill") == []


class NotMounted(Exception):  # noqa: N818
    """A disk can't be mounted here."""


def on_a_small_disk(path, work):
    """Do ``work`` in a process of its own, to which a folder is a disk of 1 MiB."""

    def mounted():
        user, group = os.geteuid(), os.getegid()
        check(LIBC.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user else 0)))
        if user:  # who is root in a world of its own
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        mount(Path("/"), MS_REC | MS_PRIVATE)
        mount(path, 0, "size=1m")
        work()

    status, told = in_a_child(mounted)
    if told.startswith("NotMounted"):
        pytest.skip(told)
    assert (status, told) == (0, "")


def mount(path, flags, options=""):
    check(LIBC.mount(b"tmpfs", str(path).encode(), b"tmpfs", flags, options.encode()))


def check(result):
    if result != 0:
        raise NotMounted(os.strerror(ctypes.get_errno()))


def fill(filler, room):
    """Fill the disk but for some bytes."""
    filler.unlink(missing_ok=True)
    filler.write_bytes(bytes(shutil.disk_usage(filler.parent).free - room))
    assert shutil.disk_usage(filler.parent).free == room


class TestNoRoom:
    """A full disk stops a change before it has changed anything, whichever file takes the last room."""

    @pytest.mark.parametrize("room", [0, 50, 300, "the history's and 10 bytes"])
    def test_files_that_may_not_grow(self, tmp_path, changes, room):
        """With a limit on the length of files, which needs no disk: what goes beyond is cut off, or refused."""
        store = Store(tmp_path / "store")
        ways = changes(store)
        ways.pop("prune")  # which needs no room
        if isinstance(room, str):
            room = (store.root / "hill" / "history.jsonl").stat().st_size + 10

        def work():
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            assert_refused_and_nothing_changed(store, ways, "File too large")

        assert in_a_child(work) == (0, "")
        for change in ways.values():
            change()
        assert verify(store, "hill") == []

    def test_a_disk_with_ever_more_room(self, tmp_path, changes):
        """A page at a time, until everything fits; what does not changes nothing."""

        def work():
            store = Store(tmp_path / "store")
            ways = changes(store)
            prune = ways.pop("prune")
            refused = dict.fromkeys(ways, 0)
            for room in range(20):
                fill(tmp_path / "filler", room * PAGE)
                for name, change in ways.items():
                    before, told = content(store), ""
                    try:
                        change()
                    except StoreError as error:
                        told = str(error)
                    if told:
                        refused[name] += 1
                        assert "/store/hill" in told
                        assert told.endswith("can't be written to: No space left on device")
                        assert content(store) == before
                    assert Shelf(store).get("hill").version == store.champion("hill")
                    assert_no_leftovers(store)
                    assert verify(store, "hill") == []
            assert all(0 < times < 20 for times in refused.values()), refused
            # It is pruning that makes room on a disk that is full.
            fill(tmp_path / "filler", 0)
            with pytest.raises(StoreError, match="No space left"):
                ways["publish"]()
            assert prune()
            ways["publish"]()
            assert verify(store, "hill") == []

        on_a_small_disk(tmp_path, work)

    def test_a_command_says_so_in_one_line(self, tmp_path, changes):
        def work():
            store = Store(tmp_path / "store")
            changes(store)
            fill(tmp_path / "filler", 0)
            command = [sys.executable, "-m", "scripts.store", "rollback", "hill", "--store", store.root]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 1
            assert done.stderr == f"Error: {store.root}/hill can't be written to: No space left on device\n"

        on_a_small_disk(tmp_path, work)


class TestNotAllowed:
    def test_a_disk_that_is_read_only(self, tmp_path, changes):
        def work():
            store = Store(tmp_path / "store")
            ways = changes(store)
            mount(tmp_path, MS_REMOUNT | MS_RDONLY)
            assert_refused_and_nothing_changed(store, ways, "Read-only file system")
            with pytest.raises(StoreError, match="store can't be written to"):
                store.check_writable("hill")

        on_a_small_disk(tmp_path, work)

    @pytest.mark.parametrize(
        ("folder", "names"),
        [("hill", ["promote", "rollback"]), ("hill/versions", ["publish", "prune"])],
    )
    @pytest.mark.parametrize("owned", [True, False])
    def test_folders_that_may_not_be_written_to(self, tmp_path, changes, folder, names, owned):
        """In a process that is not root's, to whom no mode forbids anything; its own folders, or another's."""
        store = Store(tmp_path / "store")
        ways = {name: change for name, change in changes(store).items() if name in names}
        root = os.geteuid() == 0
        if owned and root:
            for path in [store.root, *store.root.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        if owned or not root:
            (store.root / folder).chmod(0o555)
        tmp_path.chmod(0o755)

        def work():
            os.chdir(tmp_path)  # the folders above it need not be open to others
            if root:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            store.root = Path("store")
            assert_refused_and_nothing_changed(store, ways, "Permission denied")
            with pytest.raises(StoreError, match="can't be written to"):
                store.check_writable("hill")

        try:
            assert in_a_child(work) == (0, "")
        finally:
            (store.root / folder).chmod(0o755)
        for change in ways.values():
            change()
        assert verify(store, "hill") == []
