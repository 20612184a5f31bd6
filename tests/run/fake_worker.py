"""A stand-in for the scoring process: obeys the slide's name, so that tests can make it crash, hang or grow."""

import os
import signal
import sys
import time
from pathlib import Path

from biomarkers.core.files import write_text
from biomarkers.run import worker
from biomarkers.run.state import RunState


def score(job: worker.Job) -> worker.Outcome:
    """Do what the slide's name says."""
    name = job["slide"]
    os.write(1, b"libraries print on standard output too\n")
    if "segfault" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "exit" in name:
        sys.exit(7)
    if "slow" in name:
        time.sleep(0.5)
    if "hang" in name:
        time.sleep(60)
    if "grow" in name:
        hog = bytearray(600_000_000)
        for start in range(0, len(hog), 4096):
            hog[start] = 1
        time.sleep(60)
    if "disk-full" in name:
        return {"environment": "the disk is full"}
    out = Path(job["out"])
    write_text(out / "cells" / f"{job['file_stem']}.parquet", name)
    number = len(name)
    part = {
        "key": job["key"],
        "sha256": job["sha256"],
        "row": {"slide": name, "status": "ok", "reason": "", "n_cells": number, "positive_fraction": 1 / number},
        "scores": [{"slide": name, "score": "h_score", "value": 100 / number}],
        "files": [f"cells/{job['file_stem']}.parquet"],
        "record": {"pid": os.getpid()},
    }
    RunState(out).keep(job["file_stem"], part)
    return part


if __name__ == "__main__":
    worker.main(score)
