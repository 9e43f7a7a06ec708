import subprocess
import sys

import pytest
from tests.data.pool_makers import image

from sensorium.data import media


def test_one_door_for_all_media():
    assert media.decode_image(image()).size == (8, 8)
    with pytest.raises(media.BrokenMediaError, match="not a sound"):
        media.decode_audio(b"x" * 99)
    with pytest.raises(media.BrokenMediaError, match="not a video"):
        media.decode_video(b"x" * 99, fps=5)
    assert media.media_bytes({"bytes": b"x", "path": None}) == b"x"


def test_the_door_does_not_load_video_or_torch():
    heavy = ["av", "torch", "fsspec"]
    code = f"import sys, sensorium.data.media; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
