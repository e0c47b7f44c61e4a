"""Where models run and what with: what is chosen, what is refused before anything is loaded, and what is warned of.

No machine of this project has a GPU. What CTranslate2 would be told on one is chosen from what it documents that GPUs
support; that it then computes so is not tested here.
"""

import re
import shutil
import sys
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import ctranslate2
import pytest
from conftest import ROOT, run_python, running_server

from handler import devices
from handler.catalog import ModelSpec, build_catalog
from handler.device_check import check_devices
from handler.errors import SettingsError
from handler.loader import load_engine
from handler.settings import DEMO_MODELS, ModelSettings, Settings

LIBRARIES = tuple(devices.CUDA_LIBRARIES)
NLLB, T5 = DEMO_MODELS / "nllb-demo", DEMO_MODELS / "t5-demo"
HAS_GPU = ctranslate2.get_cuda_device_count() > 0
no_gpu = pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")

AMPERE = frozenset("float32 bfloat16 float16 int8 int8_float32 int8_float16 int8_bfloat16".split())
"""CTranslate2, docs/quantization.md, "Implicit type conversion on load": compute capability 8.0 and newer."""
TURING = AMPERE - {"bfloat16", "int8_bfloat16"}
"""7.0 to 7.5."""
PASCAL = frozenset({"float32", "int8", "int8_float32"})
"""6.1."""
OLDER = frozenset({"float32"})
"""6.2, and 6.0 and before."""
NO_INT8 = frozenset({"float32", "bfloat16", "float16"})
"""What its changelog says of 4.6.2 on sm_120."""


@pytest.mark.parametrize(
    ("supported", "nllb", "t5"),
    [
        (AMPERE, "int8_float16", "int8_float32"),
        (TURING, "int8_float16", "int8_float32"),
        (PASCAL, "int8_float32", "int8_float32"),
        (OLDER, "float32", "float32"),
        (NO_INT8, "float16", "float32"),
    ],
    ids=["8.0", "7.0", "6.1", "6.0", "no int8"],
)
def test_auto_takes_the_fastest_type_that_is_right_for_the_family(
    supported: AbstractSet[str], nllb: str, t5: str
) -> None:
    """T5 gets none of 16 bits: it gives NaN or repeats itself."""
    assert devices.fastest("nllb", supported) == nllb
    assert devices.fastest("t5", supported) == t5


@dataclass(frozen=True)
class Machine:
    """A machine with as many GPUs of one kind."""

    gpus: int
    supported: AbstractSet[str] = AMPERE
    trouble: str | None = None

    def gpu_count(self) -> int:
        """Return how many."""
        return self.gpus

    def gpu_trouble(self) -> str | None:
        """Return why none can be used."""
        return self.trouble

    def supported_compute_types(self, device: str, index: int) -> AbstractSet[str]:
        """Return the GPUs' types, or those of a CPU with MKL."""
        assert index < (self.gpus if device == "cuda" else 1)
        return self.supported if device == "cuda" else frozenset({"float32", "int8", "int8_float32", "int16"})


NOTHING = Machine(0, trouble="no GPU and driver are to be found")


def model(settings: dict[str, object], folder: Path = NLLB) -> ModelSpec:
    """Return the spec of one demo model."""
    [spec] = build_catalog(Settings.model_validate({"model_path": folder, **settings})).models.values()
    return spec


@pytest.mark.parametrize(
    ("settings", "machine", "expected"),
    [
        ({"device": "cuda"}, NOTHING, "device: 'cuda', and no GPU and driver are to be found; allowed: auto, cpu"),
        ({"device": "cuda"}, Machine(1, trouble="x cannot be loaded"), "device: 'cuda', and x cannot be loaded"),
        ({"device": "cuda", "device_indices": (0, 2)}, Machine(2), "device_indices: 2, and the last GPU is 1"),
        ({"device_indices": (2,)}, Machine(2), "device_indices: 2, and the last GPU is 1"),
        ({"device": "cpu", "device_indices": (0, 1)}, Machine(2), "device_indices: 1, and the CPU has 0 alone"),
        ({"compute_type": "float16"}, NOTHING, "compute_type: 'float16', which the CPU does not compute efficiently"),
        ({"compute_type": "int16"}, Machine(1), "compute_type: 'int16', which the GPU does not compute efficiently"),
        ({"compute_type": "bfloat16"}, Machine(1, TURING), "'bfloat16', which the GPU does not compute"),
        ({"flash_attention": True}, NOTHING, "flash_attention: true, which takes a GPU of compute capability 8.0"),
        ({"flash_attention": True, "device": "cpu"}, Machine(1), "flash_attention: true, which takes a GPU"),
        ({"flash_attention": True}, Machine(1, TURING), "flash_attention: true, which takes a GPU of compute"),
    ],
    ids=[
        *("no GPU", "no cuBLAS", "index", "index of auto", "index of a CPU", "float16 on a CPU", "int16 on a GPU"),
        *("bfloat16 on an older GPU", "flash without GPU", "flash on a CPU", "flash on an older GPU"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_loaded(
    settings: dict[str, object], machine: Machine, expected: str
) -> None:
    """In one line that names the model, the key and what is allowed or there."""
    with pytest.raises(SettingsError) as raised:
        check_devices([model(settings)], machine=machine)

    assert str(raised.value).startswith("models.nllb-demo.")
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "machine"),
    [
        ({}, NOTHING),
        ({"compute_type": "auto"}, NOTHING),
        ({"device_indices": (0, 1)}, NOTHING),
        ({"device": "cpu", "compute_type": "int8"}, Machine(1)),
        ({"device": "cuda", "device_indices": (0, 1)}, Machine(2)),
        ({"compute_type": "int8_bfloat16"}, Machine(1)),
        ({"flash_attention": True, "compute_type": "auto"}, Machine(1)),
        ({"device_indices": (1,)}, Machine(1, trouble="x cannot be loaded")),
    ],
    ids=["defaults", "auto", "indices of auto", "CPU", "two GPUs", "bfloat16", "flash", "indices and no cuBLAS"],
)
def test_what_is_there_may_be_asked_for(settings: dict[str, object], machine: Machine) -> None:
    """And where ``auto`` leads to the CPU, the indices of GPUs are nothing to it."""
    check_devices([model(settings)], machine=machine)


def test_flash_attention_is_refused_for_t5() -> None:
    """CTranslate2 would decode without its position bias, and say nothing."""
    with pytest.raises(SettingsError, match="flash_attention: true, and CTranslate2 has it without T5's position bias"):
        check_devices([model({"flash_attention": True}, T5)], machine=Machine(1))


def test_the_tables_of_models_decide_each_for_itself(tmp_path: Path) -> None:
    """The common setting is what is left out."""
    shutil.copytree(DEMO_MODELS, tmp_path / "models")
    settings = Settings(
        model_path=tmp_path / "models",
        models={"t5-demo": ModelSettings(device="cpu"), "nllb-demo": ModelSettings(flash_attention=True)},
        device="cuda",
    )

    models = build_catalog(settings).models

    assert [(spec.device, spec.flash_attention) for spec in models.values()] == [("cpu", False), ("cuda", True)]


@no_gpu
@pytest.mark.parametrize("compute_type", ["default", "auto", "int8", "float32"])
def test_auto_is_the_cpu_where_there_is_no_gpu(compute_type: Literal["default", "auto", "int8", "float32"]) -> None:
    """With what CTranslate2 takes there, whatever indices are set."""
    spec = replace(model({}), compute_type=compute_type, device_indices=(1, 2))

    _, report = load_engine(spec, warm_up=False)

    assert report.device == "cpu"
    assert report.compute_type == ("float32" if compute_type == "float32" else "int8_float32")


@no_gpu
@pytest.mark.parametrize(
    ("entry", "status"), [("-m handler", 2), ("-c 'import handler.main'", 1), ("-c 'import handler.aws_lambda'", 1)]
)
@pytest.mark.parametrize("load", ["startup", "lazy"])
def test_a_gpu_that_is_asked_for_and_absent_ends_the_process(entry: str, status: int, load: str) -> None:
    """Also one that only a first request would have wanted; and the guess of a cold start keeps quiet."""
    arguments = entry.replace("'", "").split(" ", 1)

    done = run_python(*arguments, DEVICE="cuda", MODEL_PATH=str(NLLB), LOAD=load, SERVER_PORT="0")

    assert done.returncode == status
    assert done.stdout + done.stderr == (
        "error: environment variable DEVICE: model 'nllb-demo': 'cuda', and no GPU and driver are to be found; "
        "allowed: auto, cpu\n"
    )


@no_gpu
def test_a_cpu_in_the_place_of_a_gpu_is_warned_of_once(tmp_path: Path) -> None:
    """Where the libraries for one are installed, which is what the GPU's image is; elsewhere a CPU is nothing odd."""
    put(tmp_path / "packages", {devices.CUBLAS: b""})

    with running_server(tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path / 'packages'}") as warned:
        status = warned.chat("Where is the train station?", model="nllb-demo", target_lang="fra_Latn").status
        [warning] = [line for line in warned.log_lines() if line["level"] == "WARNING"]
    (tmp_path / "plain").mkdir()
    with running_server(tmp_path / "plain") as plain:
        levels = {line["level"] for line in plain.log_lines()}

    assert status == 200
    assert warning["message"] == "no GPU is used"
    assert warning["reason"] == "no GPU and driver are to be found"
    assert warning["models"] == ["nllb-demo", "t5-demo"]
    assert levels == {"INFO"}


LOAD = """
import ctypes, sys
from handler import devices
print(devices.load_cuda_libraries())
try:
    print(bool(ctypes.CDLL(devices.CUBLAS)))
except OSError as error:
    print(error)
"""


def test_a_library_that_was_loaded_by_its_path_is_found_by_its_name(tmp_path: Path) -> None:
    """As CTranslate2 asks for cuBLAS: by a name, in folders where it is not. A library of that name stands in."""
    [library] = Path(ctranslate2.__file__).parents[1].glob("ctranslate2.libs/libgomp*")
    soname, content = library.name.encode(), library.read_bytes()
    assert content.count(soname) == 1
    put(tmp_path, {name: content.replace(soname, name.encode().ljust(len(soname), b"\0")) for name in LIBRARIES})

    loaded = run_python("-c", LOAD, PYTHONPATH=f"{ROOT}:{tmp_path}")
    put(tmp_path, {devices.CUBLAS: b"no library"})
    broken = run_python("-c", LOAD, PYTHONPATH=f"{ROOT}:{tmp_path}")

    assert loaded.stdout.splitlines() == ["None", "True"], loaded.stderr
    trouble, missing = broken.stdout.splitlines()
    assert trouble.startswith(f"{devices.CUBLAS} cannot be loaded: {tmp_path}")
    assert trouble.endswith("; pip install nvidia-cublas-cu12 nvidia-cuda-nvrtc-cu12")
    assert missing.startswith(f"{devices.CUBLAS}: cannot open shared object file")


def test_ctranslate2_asks_for_the_libraries_that_are_brought_and_no_others() -> None:
    """A new release may want more, or another CUDA; the image's build compares as well."""
    [library] = Path(ctranslate2.__file__).parents[1].glob("ctranslate2.libs/libctranslate2*")
    named = {name.decode() for name in re.findall(rb"lib(?:cu|nv)[A-Za-z]+\.so\.\d+", library.read_bytes())}
    lock = (ROOT / "requirements" / "gpu.txt").read_text(encoding="utf-8")

    assert named - {"libcuda.so.1"} == {devices.CUBLAS}
    assert re.findall(r"^(\S+)==12\.8\.", lock, flags=re.MULTILINE) == ["nvidia-cublas-cu12", "nvidia-cuda-nvrtc-cu12"]
    assert lock.count("==") == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "holds no libcublas.so.12"), (b"no library", "libnvrtc.so.12 cannot be loaded")],
    ids=["absent", "broken"],
)
def test_an_image_whose_libraries_do_not_load_is_not_built(
    content: bytes | None, expected: str, tmp_path: Path
) -> None:
    """One line, and no image."""
    put(tmp_path, {name: content or b"no library" for name in LIBRARIES if content or name != devices.CUBLAS})

    done = run_python("infra/image/cuda.py", str(tmp_path), PYTHONPATH=f"{ROOT}:{tmp_path}:{site_packages()}")

    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


def put(packages: Path, libraries: dict[str, bytes]) -> None:
    """Write libraries where NVIDIA's packages have them."""
    for name, content in libraries.items():
        path = packages / "nvidia" / devices.CUDA_LIBRARIES[name] / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def site_packages() -> str:
    """Return where CTranslate2 is installed."""
    return next(path for path in sys.path if (Path(path) / "ctranslate2.libs").is_dir())
