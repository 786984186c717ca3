"""The command line, as a user meets it: files in, files and one clear line out."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result

from napari_remidi.cli import main
from napari_remidi.cli.terminal import TerminalProgress
from napari_remidi.results.words import quantity_lines
from napari_remidi.shapes import Prior, make_phantom

VOXEL = "1,0,0"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantom voxels as NIfTI with FSL gradients, every third measurement of two timings' first."""
    folder = tmp_path_factory.mktemp("scan")
    phantom = make_phantom(voxels=2)
    kept = np.flatnonzero((phantom.protocol.Delta == 25.0) & np.isin(phantom.protocol.bvals, [0, 2000, 6000, 10000]))
    nibabel.save(nibabel.Nifti1Image(phantom.data[..., kept], phantom.affine), folder / "dwi.nii.gz")
    np.savetxt(folder / "dwi.bval", phantom.protocol.bvals[kept][None], fmt="%d")
    # FSL's first axis points the other way where the affine's determinant is positive
    np.savetxt(folder / "dwi.bvec", (phantom.protocol.bvecs[kept] * [-1, 1, 1]).T)
    return folder / "dwi.nii.gz"


@pytest.fixture(scope="module")
def reconstruction(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that a run has written, and what it has said."""
    out = tmp_path_factory.mktemp("out")
    done = run(
        "reconstruct", scan, "--voxel", VOXEL, "--delta", 5, "--Delta", 25, "--starts", 1, "--iterations", 3,
        "--noise-sd", 0.02, "--device", "cpu", "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return out, done.output


@pytest.fixture(scope="module")
def reconstructed(reconstruction: tuple[Path, str]) -> Path:
    return reconstruction[0]


def test_info_says_what_the_scan_holds_and_that_timing_is_missing(scan: Path) -> None:
    done = run("info", scan)
    assert done.exit_code == 0
    assert "4×3×1×120" in done.output
    assert "30 volumes at b=0, 3 shells" in done.output
    assert "unknown" in done.output


def test_info_as_json(scan: Path) -> None:
    record = json.loads(run("info", scan, "--json", "--preset", "HCP WU-Minn").output)
    assert record["shape"] == [4, 3, 1, 120]
    assert [shell["measurements"] for shell in record["shells"]] == [30, 30, 30]
    assert record["delta_ms"] == [10.6]
    assert record["timing_source"] == "preset HCP WU-Minn"


def test_info_of_the_cat_spinal_cord(cat_cord) -> None:
    record = json.loads(run("info", cat_cord.image, "--scheme", cat_cord.scheme, "--json").output)
    assert record["shape"] == [64, 64, 1, 796]
    assert len(record["shells"]) == 4
    assert (record["delta_ms"], record["Delta_ms"]) == ([3.0], [30.0])


def test_a_voxel_s_files_are_written(reconstructed: Path) -> None:
    names = {path.name for path in reconstructed.iterdir()}
    assert names == {f"voxel-1-0-0{suffix}" for suffix in (".ply", ".npz", ".json", ".png")}


def test_a_voxel_s_quantities_and_the_test_of_its_fit_are_printed(reconstruction: tuple[Path, str]) -> None:
    out, said = reconstruction
    report = json.loads((out / "voxel-1-0-0.json").read_text())
    lines = [" ".join(line.split()) for line in said.splitlines()]
    for title, value in quantity_lines(report):
        assert f"{title} {value}" in lines
    assert ("passed" in said, "failed" in said) == (report["explained"], not report["explained"])
    assert [line for line in lines if line.startswith("voxel 1, 0, 0: no axon of prior 'axon'")] == (
        [] if report["explained"] else [f"voxel 1, 0, 0: {report['warning']}"]
    )


def test_a_report_repeats_its_run(reconstructed: Path, tmp_path: Path) -> None:
    done = run("reconstruct", "--from", reconstructed / "voxel-1-0-0.json", "--device", "cpu", "-o", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    again = json.loads(done.output)["axons"][0]
    before = json.loads((reconstructed / "voxel-1-0-0.json").read_text())
    np.testing.assert_allclose(again["latent"], before["latent"], atol=1e-4)
    assert again["parameters"] == before["parameters"]
    assert again["source"] == before["source"]


def test_one_bad_voxel_of_a_mask_does_not_lose_the_others(scan: Path, tmp_path: Path) -> None:
    mask = np.zeros((4, 3, 1), dtype=np.uint8)
    mask[1, 0, 0] = mask[3, 2, 0] = 1  # the second holds no axon
    nibabel.save(nibabel.Nifti1Image(mask, nibabel.load(scan).affine), tmp_path / "mask.nii.gz")
    done = run(
        "reconstruct", scan, "--mask", tmp_path / "mask.nii.gz", "--delta", 5, "--Delta", 25, "--starts", 1,
        "--iterations", 2, "--noise-sd", 0.02, "--device", "cpu", "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.exit_code == 1
    result = json.loads(done.stdout[: done.stdout.rindex("}") + 1])
    assert [axon["source"]["voxel"] for axon in result["axons"]] == [[1, 0, 0]]
    assert result["failures"][0]["voxel"] == [3, 2, 0]
    assert "signal is zero throughout" in result["failures"][0]["error"]
    assert (tmp_path / "out" / "voxel-1-0-0.ply").is_file()


def test_simulate_a_mesh(tmp_path: Path) -> None:
    mesh = Prior.load("axon").decode(np.zeros(24))
    np.savez(tmp_path / "mesh.npz", points=mesh.points, tetrahedra=mesh.tetrahedra)
    done = run("simulate", tmp_path / "mesh.npz", "-o", tmp_path / "signal.tsv", "--device", "cpu")
    assert done.exit_code == 0, done.output
    table = np.loadtxt(tmp_path / "signal.tsv", skiprows=1)
    assert table.shape == (1890, 7)
    assert table[:, -1].max() == pytest.approx(1, abs=1e-3)


def test_protocol_report_of_a_scan_and_of_its_gradient_files_alone(scan: Path) -> None:
    timing = ("--delta", 5, "--Delta", 25, "--draws", 2, "--device", "cpu")
    files = ("--bvals", scan.with_name("dwi.bval"), "--bvecs", scan.with_name("dwi.bvec"))
    of_scan, of_files = (
        json.loads(run("protocol-report", *source, *timing, "--json").output) for source in ((scan,), files)
    )
    assert of_scan["measurements"] == of_files["measurements"] == 120
    assert [quantity["name"] for quantity in of_files["quantities"]][:2] == ["radius", "least radius"]
    # without the image its axes may be turned: other orientations, the same shapes
    for one, other in zip(of_scan["quantities"], of_files["quantities"], strict=True):
        assert one["prior_sd"] == pytest.approx(other["prior_sd"], rel=1e-5)
        assert one["sd"] == pytest.approx(other["sd"], rel=0.5)
    assert [part["measurements"] for part in of_files["shells"]] == [30, 30, 30]


def test_protocol_report_is_a_table_with_cautions(tmp_path: Path) -> None:
    (tmp_path / "one.bval").write_text("0 1000 1000 1000")
    (tmp_path / "one.bvec").write_text("0 1 0 0\n0 0 1 0\n0 0 0 1")
    (tmp_path / "one.json").write_text('{"SmallDelta": 0.0106, "BigDelta": 0.0431}')
    files = ("--bvals", tmp_path / "one.bval", "--bvecs", tmp_path / "one.bvec")
    done = run("protocol-report", *files, "--draws", 1, "--device", "cpu", "--snr", 20)
    assert done.exit_code == 0, done.output
    assert "4 measurements at SNR 20" in done.output
    assert "length, µm" in done.output
    assert "Caution: all weighted measurements have one b-value, 1000 s/mm²" in done.output
    assert "Caution: the gradient directions determine 3 of the 6 numbers" in done.output


def test_protocol_report_of_a_scheme_file(cat_cord) -> None:
    options = ("--draws", 1, "--device", "cpu", "--json", "--fit-diffusivity")
    done = run("protocol-report", "--scheme", cat_cord.scheme, "--prior", "axon-open", *options)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["measurements"] == 796


def test_train_refuses_a_prior_without_a_recipe() -> None:
    done = run("train", "dendrite")
    assert done.exit_code == 1
    assert done.output.strip() == "Error: there is no recipe for prior 'dendrite': choose 'axon' or 'axon-open'"


@pytest.mark.parametrize(
    "command", [[], ["demo"], ["info"], ["simulate"], ["reconstruct"], ["train"], ["protocol-report"]]
)
def test_every_command_explains_itself(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output


def inverted(folder: Path) -> Path:
    mesh = Prior.load("axon").decode(np.zeros(24))
    tetrahedra = np.array(mesh.tetrahedra)
    tetrahedra[:3] = tetrahedra[:3][:, [1, 0, 2, 3]]
    np.savez(folder / "inverted.npz", points=mesh.points, tetrahedra=tetrahedra)
    return folder / "inverted.npz"


def truncated(scan: Path, folder: Path) -> Path:
    (folder / "cut.nii.gz").write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
    for suffix in (".bval", ".bvec"):
        (folder / f"cut{suffix}").write_text(scan.with_name(f"dwi{suffix}").read_text())
    return folder / "cut.nii.gz"


def half_a_protocol(folder: Path) -> Path:
    (folder / "b.bval").write_text("0 1000")
    return folder / "b.bval"


BAD = {
    "no timing": (lambda s, f: ["reconstruct", s, "--voxel", VOXEL], "HCP WU-Minn"),
    "delta longer than Delta": (
        lambda s, f: ["info", s, "--delta", 30, "--Delta", 5],
        "delta 30 ms is longer than Delta 5 ms",
    ),
    "seconds": (lambda s, f: ["info", s, "--delta", 0.005, "--Delta", 0.025], "seconds"),
    "voxel outside": (
        lambda s, f: ["reconstruct", s, "--voxel", "9,0,0", "--delta", 5, "--Delta", 25],
        "outside",
    ),
    "voxel of nothing": (
        lambda s, f: ["reconstruct", s, "--voxel", "3,2,0", "--delta", 5, "--Delta", 25],
        "voxel (3, 2, 0): the signal is zero throughout (outside the tissue?); choose another voxel",
    ),
    "unknown prior": (
        lambda s, f: ["reconstruct", s, "--voxel", VOXEL, "--delta", 5, "--Delta", 25, "--prior", "axoon"],
        "prior 'axoon' is unknown: choose 'axon' or 'axon-open'",
    ),
    "no scan": (lambda s, f: ["info", f / "none.nii.gz"], "none.nii.gz"),
    "truncated": (lambda s, f: ["info", truncated(s, f)], "cut.nii.gz"),
    "inverted mesh": (lambda s, f: ["simulate", inverted(f)], "3 of"),
    "a report that is none": (lambda s, f: ["reconstruct", "--from", s], "not a report of napari-remidi reconstruct"),
    "a report without timing": (
        lambda s, f: ["protocol-report", "--bvals", s.with_name("dwi.bval"), "--bvecs", s.with_name("dwi.bvec")],
        "the scan records no pulse timing, and the signal of an axon depends on it: give delta and Delta in ms, or",
    ),
    "a report of half a protocol": (
        lambda s, f: ["protocol-report", "--bvals", half_a_protocol(f)],
        "b: found b.bval but no .bvec file: give it, or a scheme file",
    ),
    "a report of files that do not fit": (
        lambda s, f: ["protocol-report", "--bvals", half_a_protocol(f), "--bvecs", s.with_name("dwi.bvec")],
        "dwi.bvec: 120 entries, but b.bval has 2: every volume needs both",
    ),
    "a report of no protocol": (
        lambda s, f: ["protocol-report", "--preset", "HBCD"],
        "give a DWI file, --bvals with --bvecs, --scheme, or --preset paper",
    ),
    "a report at no SNR": (
        lambda s, f: ["protocol-report", "--preset", "paper", "--snr", 0],
        "SNR is 0; give S0 over the noise of one measurement, above 0 up to 10000",
    ),
    "an empty mask": (
        lambda s, f: ["reconstruct", s, "--mask", empty_mask(s, f), "--delta", 5, "--Delta", 25],
        "the mask is empty: mark at least one voxel",
    ),
}


def empty_mask(scan: Path, folder: Path) -> Path:
    image = nibabel.Nifti1Image(np.zeros((4, 3, 1), dtype=np.uint8), nibabel.load(scan).affine)
    nibabel.save(image, folder / "mask.nii.gz")
    return folder / "mask.nii.gz"


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_line_and_a_failure(scan: Path, tmp_path: Path, case: str) -> None:
    arguments, expected = BAD[case]
    done = run(*arguments(scan, tmp_path))
    assert done.exit_code != 0
    lines = [line for line in done.output.strip().splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, done.output
    assert expected in lines[0]
    assert "Traceback" not in done.output


def test_ctrl_c_ends_a_run_where_it_is_and_once_more_at_once() -> None:
    iterate, before = SimpleNamespace(fraction=0.1, message=""), signal.getsignal(signal.SIGINT)
    with TerminalProgress(quiet=True) as progress:
        watch = progress.iterates("voxel")
        assert watch(iterate)
        signal.raise_signal(signal.SIGINT)
        assert not watch(iterate)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
