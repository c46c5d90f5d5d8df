"""The main job from end to end, offline, on real images: scikit-learn's 1,797 handwritten digits.

A third of the training labels is broken on purpose, found again, and the models are judged on labels that were not.
Then the best model is served, and users, of whom one always lies, tell it what they see on digits that are new to it.

Every step is a command that a user would type; the demo prints it, runs it, and stops where one fails. What it makes
lies in the folder ``demo`` afterwards and can be played with. In a terminal the server stays on at the end, and a
worker with it, for its pages to be tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

FOLDER = Path("demo")
SIDE = 64  # pixels; the digits are 8 x 8
BROKEN = "0.33"  # share of the training labels
LATER = 300  # digits that come by only once the model is served


def main() -> None:
    """Runs the demo."""
    started = time.monotonic()
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    write_digits(FOLDER / "digits", FOLDER / "later")
    pellucid("init", ".")
    pellucid("ingest", "digits", "--dataset", "digits", "--trusted", "0.1")
    pellucid("datasets", "show", "digits")
    pellucid("corrupt", "digits", "--labels", "symmetric", "--rate", BROKEN)
    pellucid("clean", "digits")
    pellucid("train", "-d", "digits@1", "-d", "digits@2", "-d", "digits@3", "-m", "kernel", "-m", "logistic")
    show_what_cleaning_is_worth()
    pellucid("models", "promote", best_model(), "--reason", "best of those that learnt cleaned labels")
    pellucid("predict", "later/3")
    with served() as (server, url):
        users = ("--users", "5", "--bad-users", "1", "--user-accuracy", "0.8", "--days", "tuesday", "--rate", "max")
        pellucid("stream", "simulate", "digits", "--from", "later", *users, "--url", url)
        pellucid("voters", "digits")
        print(
            "\n# One of them lies. Who contradicts the others is hardly believed, so that little is left to take back:"
        )
        pellucid("forget", "digits", "--voter", worst_voter(), "--reason", "lies", "-n")
        pellucid("forget", "digits", "--voter", worst_voter(), "--reason", "lies")
        pellucid("models", "history")
        tell(time.monotonic() - started)
        if sys.stdin.isatty() and sys.stdout.isatty():
            wait_on_pages(server, url)
    print(f"\nOpen the pages again:  cd {FOLDER}; {command()} up --open")


def tell(seconds: float) -> None:
    """What there is to see now."""
    print(
        f"""
Done in {seconds:.0f} seconds. Look at the suspects as pictures, and at the champion's report:

  {FOLDER.resolve() / "reports" / "audit-digits-2" / "audit.html"}
  {report_path()}

and try, in the folder {FOLDER.resolve()}:

  {command()} models list                      every model, its accuracy and who is champion
  {command()} models show digits               the champion's card
  {command()} datasets lineage digits          from the images to the models
  {command()} datasets lineage --impact $({command()} datasets show digits --rows | sed -n '2s/ .*//p')
  {command()} datasets diff digits@2 digits@3  every label that was changed, and why
  {command()} datasets revert digits@1         take all of it back"""
    )


def wait_on_pages(server: subprocess.Popen[str], url: str) -> None:
    """Leaves the server on, with a worker for what is started from its pages, until Ctrl-C or the server's own end."""
    print(f"\nOpen {url} in a browser: try a picture, review doubtful labels, train, promote. Ctrl-C ends.", flush=True)
    worker = subprocess.Popen([sys.executable, "-m", "pellucid", "--quiet", "worker", "--watch"], cwd=FOLDER)
    try:
        server.wait()
        print("\nThe server has ended, and so does the demo.", flush=True)
    except KeyboardInterrupt:
        print("\nThe demo ends; what was learnt is kept.", flush=True)
    finally:
        server.terminate()
        worker.terminate()
        worker.wait()


def write_digits(folder: Path, later: Path) -> None:
    """Writes the digits as PNG class folders, the last ones apart."""
    digits = load_digits()
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        target = (folder if index < len(digits.target) - LATER else later) / str(label)
        target.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * 255 / 16).astype("uint8")).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image.save(target / f"digit_{index:04}.png")
    print(f"wrote {len(digits.target) - LATER} handwritten digits to {folder}, and {LATER} to {later}", flush=True)


@contextlib.contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The champion behind a free port of this machine, which asks for no token; gives the server and its address."""
    print("\n$ pellucid serve --open --port 0 &", flush=True)
    command = [sys.executable, "-m", "pellucid", "--quiet", "serve", "--open", "--port", "0"]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            if not url:
                raise SystemExit("the server did not start")
            print(url, flush=True)
            yield server, url
        finally:
            server.terminate()


def worst_voter() -> str:
    """Whose labels are least to be believed."""
    voters = json.loads(run("voters", "digits", "--json"))
    judged = [voter for voter in voters if voter["reliability"] is not None]
    return str(min(judged, key=lambda voter: voter["reliability"]["value"])["name"])


def pellucid(*arguments: str) -> None:
    """Prints the command as a user would type it, and runs it in the demo's folder."""
    print(f"\n$ pellucid {shlex.join(arguments)}", flush=True)
    if arguments[0] == "predict":
        shown = run(*arguments).splitlines()
        print("\n".join([*shown[:6], f"... and {len(shown) - 6} more"]), flush=True)
        return
    subprocess.run([sys.executable, "-m", "pellucid", *arguments], cwd=FOLDER, check=True)


def run(*arguments: str) -> str:
    """What the command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", "--quiet", *arguments],
        cwd=FOLDER,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def show_what_cleaning_is_worth() -> None:
    """Test accuracy of each model that learnt the labels as broken, as cleaned, and the true ones."""
    models = json.loads(run("models", "list", "--json"))
    accuracy = {(model["head"], model["dataset"]): model["metrics"]["accuracy"] for model in models}
    versions = {"a third broken": "digits@2", "cleaned": "digits@3", "the truth": "digits@1"}
    print("\n# Accuracy on the test images, whose labels were left alone, by what the model had learnt from:\n")
    print(f"{'model':16}" + "".join(f"{name:>16}" for name in versions) + f"{'cleaning gains':>18}")
    print(f"{'learnt dataset':16}" + "".join(f"{ref:>16}" for ref in versions.values()))
    for head in sorted({head for head, _ in accuracy}):
        gain = 100 * (accuracy[head, "digits@3"] - accuracy[head, "digits@2"])
        figures = "".join(f"{accuracy[head, ref]:16.3f}" for ref in versions.values())
        print(f"{head:16}{figures}{gain:+11.1f} points")
    print("\n# Kernel ridge averages wrong labels away where they hit at random; logistic regression learns them.")
    print("# Models and dataset versions are numbered apart: what is promoted next is a model.")
    sys.stdout.flush()


def best_model() -> str:
    """The most accurate of the models that learnt cleaned labels; of equals the one whose probabilities are best."""
    models = [model for model in json.loads(run("models", "list", "--json")) if model["dataset"] == "digits@3"]
    return str(max(models, key=lambda model: (model["metrics"]["accuracy"], -model["metrics"]["log_loss"]))["ref"])


def report_path() -> str:
    """Where the champion's report is."""
    return str(json.loads(run("models", "show", "digits", "--json"))["report"])


def command() -> str:
    """How to call pellucid from the demo's folder."""
    return os.path.relpath(Path(sys.executable).parent / "pellucid", FOLDER)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
