"""What all tests share: hypothesis settings, and the folder of trained networks if it is there."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
EXAMPLES = int(os.environ.get("WEFT_FUZZ_EXAMPLES", 0))
settings.register_profile("weft", max_examples=EXAMPLES or 25, deadline=None, derandomize=not EXAMPLES, print_blob=True)
settings.load_profile("weft")


def pytest_configure(config):
    config.addinivalue_line("markers", "networks: whole networks at 224x224, seconds each; make acceptance runs them")


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of trained networks; its data stand in ../data beside it."""
    folder = Path(os.environ.get("WEFT_MODELS", ROOT.parent / "shared" / "models"))
    if not folder.is_dir():
        assert "WEFT_MODELS" not in os.environ, f"WEFT_MODELS names {folder}, which is no folder"
        pytest.skip("no trained networks: set WEFT_MODELS to their folder")
    return folder
