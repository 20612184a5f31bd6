"""Every public function shows an example, and every example in a docstring gives what it says."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import biomarkers

PACKAGE = Path(biomarkers.__file__).parent
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


class _Finder(doctest.DocTestFinder):
    """Looks into decorated functions too."""

    def _from_module(self, module, what):
        plain = inspect.unwrap(what) if inspect.isfunction(what) else what
        return super()._from_module(module, plain)


@pytest.mark.parametrize("name", sorted(set(biomarkers.__all__)))
def test_every_public_name_has_an_example(name):
    what = getattr(biomarkers, name)
    if inspect.ismodule(what) or isinstance(what, str):
        return
    assert ">>> " in (inspect.getdoc(what) or ""), f"biomarkers.{name} shows no example"


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_examples_give_what_they_say(path, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    module, runner = importlib.import_module(_module(path)), doctest.DocTestRunner()
    for test in _Finder().find(module, module.__name__):
        runner.run(test)
    plt.close("all")
    assert runner.tries > 0
    assert runner.failures == 0
