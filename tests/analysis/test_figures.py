import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from analysis import load
from analysis.figures import bars, lines, maps, panels, points
from analysis.figures.style import COLOURS, GRID, INK, MUTED, looks, new_figure, safe, tick_seconds
from analysis.figures.svg import to_inline, to_svg
from analysis.questions.anytime import anytime
from analysis.questions.choice import choice_points
from analysis.questions.cost import cost_table, joules_frame, limit_table, phase_frame
from analysis.questions.histories import (
    class_balance,
    interval_table,
    score_histogram,
    similarity_table,
)
from analysis.questions.methods.strategies import ablation, scatter, strategy_frame
from analysis.questions.methods.targets import pareto_points
from analysis.questions.speedups import tradeoff
from analysis.results.load import Results
from tests.analysis.synthetic import ARMS, Arm, Sweep

ROOT = Path(__file__).parents[2] / "analysis"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    arms = dict(ARMS) | {"cached": Arm(0.03, joules=5.0)}
    folder = tmp_path_factory.mktemp("figures")
    return load(Sweep(arms=arms, histories=3, seeds=(0, 1)).write(folder))


def drawings(results: Results) -> dict[str, tuple[object, pd.DataFrame]]:
    """Every plot function with the frame that its data function gives."""
    costs, history = cost_table(results), results.histories[0]
    strategies = scatter(strategy_frame(results))
    settings = pd.concat([strategies.assign(select_every=v) for v in (5.0, 20.0)])
    balance = class_balance(history, np.arange(history.size) % 4)
    trials = list(results.search["trial_id"])
    return {
        "tradeoff": (lines.plot_tradeoff, tradeoff(results)),
        "curves": (lines.plot_learning_curves, lines.learning_curves(results.epochs, trials)),
        "intervals": (lines.plot_intervals, interval_table(history)),
        "cost": (bars.plot_cost, phase_frame(costs)),
        "joules": (bars.plot_joules, joules_frame(costs)),
        "limits": (bars.plot_limits, limit_table(results)),
        "w_scores": (bars.plot_w_scores, score_histogram(history)),
        "errors": (bars.plot_gradient_errors, bars.gradient_errors(results.epochs)),
        "strategies": (points.plot_strategies, strategies),
        "ablation": (
            lambda f, ax=None: points.plot_ablation(f, ax, by="select_every"),
            ablation(settings, "select_every"),
        ),
        "pareto": (points.plot_pareto, pareto_points(results)),
        "similarity": (maps.plot_similarity, similarity_table(results.histories)),
        "balance": (maps.plot_class_balance, balance.assign(name=balance["label"].map(str))),
    }


def test_every_plot_draws_into_given_axes_and_into_its_own(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    mpl.use("agg")
    import matplotlib.pyplot as plt

    for name, (plot, frame) in drawings(results).items():
        assert len(frame), name
        before = frame.copy()
        figure = new_figure()
        ax = figure.subplots()
        assert plot(frame, ax) is ax  # type: ignore[operator]
        assert isinstance(ax, Axes)
        assert ax.has_data(), name
        pd.testing.assert_frame_equal(frame, before)
        svg = to_svg(figure)
        assert "<text" in svg, name  # text is text, not paths
        assert len(svg) < 120_000, name
    own = points.plot_pareto(pareto_points(results))
    assert own.figure in [plt.figure(n) for n in plt.get_fignums()]
    plt.close("all")


def test_many_arms_leave_the_axes_their_room() -> None:
    """A figure grows by its legend: 18 arms once pressed the axes of two slots to nothing."""
    heights = []
    for arms in (2, 18):
        names = [f"strategy number {i}" for i in range(arms)]
        stays = pd.DataFrame({"slot": [0] * arms, "arm": names}).assign(
            started=np.arange(arms), ended=np.arange(arms) + 1.0
        )
        figure = new_figure(height=2.1)
        ax = bars.plot_slots(stays, figure.subplots(), arms=names)
        to_svg(figure)  # laid out; a warning is an error
        heights.append(ax.get_position().height * figure.get_figheight())
    assert heights[1] > 0.9 * heights[0]


def test_no_text_is_left_black_on_dark_pages(results: Results) -> None:
    for name, (plot, frame) in drawings(results).items():
        figure = new_figure()
        plot(frame, figure.subplots())  # type: ignore[operator]
        root = ElementTree.fromstring(to_inline(to_svg(figure), name, name))
        texts = [e for e in root.iter() if e.tag.endswith("}text")]
        assert texts, name
        for text in texts:
            fill = re.search(r"fill: ([^;]+)", text.attrib.get("style", ""))
            assert fill, (name, "".join(text.itertext()))
            # Cells of heat maps keep their colours on dark pages, and so does what they say.
            allowed = {"var(--ink)", "var(--muted)", "#fdfdfd", "#101418"}
            assert fill[1] in allowed, (name, fill[1])


def test_drawn_numbers_are_the_data(results: Results) -> None:
    frame = tradeoff(results)
    one = frame[(frame["arm"] == "cached") & (frame["configuration"] == 2) & (frame["seed"] == 0)]
    ax = lines.plot_tradeoff(one, new_figure().subplots())
    np.testing.assert_allclose(ax.lines[0].get_xdata(), one["speedup"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), one["relative_error"])
    both = frame[frame["configuration"] == 2]
    means = lines.mean_tradeoff(both).query("arm == 'cached'")
    cached = both[both["arm"] == "cached"]
    ends = cached.groupby("trial_id").tail(1)
    assert means["speedup"].iloc[-1] == pytest.approx(np.exp(np.log(ends["speedup"]).mean()))
    assert means["relative_error"].iloc[-1] == pytest.approx(ends["relative_error"].mean())
    history = score_histogram(results.histories[0])
    drawn = bars.plot_w_scores(history, new_figure().subplots())
    assert sum(p.get_height() for p in drawn.patches) == history["examples"].sum()


def test_inline_figures_share_no_identifier_and_take_the_pages_colours(results: Results) -> None:
    plot, frame = drawings(results)["cost"]
    figure = new_figure()
    plot(frame, figure.subplots())  # type: ignore[operator]
    svg = to_svg(figure)
    assert "2" + "026-" not in svg
    first, second = (to_inline(svg, name, "<said> & done") for name in ("a", "b"))
    identities = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert identities[0]
    assert not identities[0] & identities[1]
    for text, known in zip((first, second), identities, strict=True):
        used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
        assert used == known
        root = ElementTree.fromstring(text)
        assert root.attrib["aria-label"] == "<said> & done"
        assert root.attrib["role"] == "img"
    assert "<style" not in first
    assert "metadata" not in first
    assert "var(--ink)" in first
    assert not set(re.findall(r"#[0-9a-f]{6}", first)) & {*COLOURS, INK, MUTED, GRID}


@pytest.mark.parametrize("arms", [1, 2, 5])
def test_a_panel_per_arm_with_the_others_behind_it(tmp_path: Path, arms: int) -> None:
    names = [f"own_{i}" for i in range(arms)]
    made = dict.fromkeys(names, Arm(0.03, 0.02)) | {"full": ARMS["full"]}
    loaded = load(Sweep(arms=made, seeds=(0, 1), promote=False, histories=0).write(tmp_path))
    curves = anytime(loaded)
    figure = panels.plot_anytime_panels(curves)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == names
    for ax, name in zip(shown, names, strict=True):
        assert len(ax.lines) == arms + 1  # every arm once, and full training's other seeds
        mean = curves[curves["arm"] == name].groupby("epoch", sort=False)["tau"].mean()
        np.testing.assert_allclose(ax.lines[-1].get_ydata(), mean)
    chosen = panels.plot_choice_panels(choice_points(loaded), metric="validation error")
    assert [ax.get_title(loc="left") for ax in chosen.axes if ax.get_visible()] == names
    assert "<text" in to_svg(chosen)


@pytest.mark.parametrize("count", [2, 6, 12])
def test_a_legend_stays_within_its_figure(count: int) -> None:
    figure = new_figure()
    ax = figure.subplots()
    names = [f"strategy number {i}, stopped early" for i in range(count)]
    lines.legend(ax, [ax.plot([0, 1], [0, i])[0] for i in range(count)], names)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast ratio."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def palettes() -> list[dict[str, str]]:
    """The custom properties of the light, dark and print style sheets."""
    css = (ROOT / "templates" / "report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, flags=re.S)
    assert len(blocks) == 3
    return [dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_colours_contrast_with_the_paper_in_every_theme() -> None:
    light, dark, printed = palettes()
    for theme in (light, dark, {**light, **printed}):
        assert contrast(theme["--ink"], theme["--paper"]) >= 7
        for text in ("--muted", "--link"):
            assert contrast(theme[text], theme["--paper"]) >= 4.5
            assert contrast(theme[text], theme["--raised"]) >= 4.5
        for i in range(len(COLOURS)):
            assert contrast(theme[f"--c{i}"], theme["--paper"]) >= 3, i
    assert [light[f"--c{i}"] for i in range(len(COLOURS))] == list(COLOURS)
    assert [printed[f"--c{i}"] for i in range(len(COLOURS))] == list(COLOURS)


# Linear RGB as seen without one kind of cone (Machado, Oliveira and Fernandes, 2009, severity 1).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) of an sRGB colour as seen."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = to_xyz @ np.clip(seen @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_differ_for_the_colour_blind_and_the_usual_arms_in_grey(theme: int) -> None:
    colours = [palettes()[theme][f"--c{i}"] for i in range(len(COLOURS))]
    for name, seen in SEEN.items():
        labs = [lab(colour, seen) for colour in colours]
        for i, j in combinations(range(len(colours)), 2):
            distance = float(np.linalg.norm(labs[i] - labs[j]))
            # 2.3 is a just noticeable difference; markers and dashes differ besides.
            assert distance >= (20 if j < 4 else 12), (name, i, j)
    lightness = sorted(lab(colour, np.eye(3))[0] for colour in colours[:4])
    assert min(np.diff(lightness)) >= 6


def test_looks_differ_without_colour_and_stay_from_report_to_report() -> None:
    names = [*ARMS, *(f"own_{i}" for i in range(6))]
    styles = looks(names)
    assert len({(look.marker, str(look.dashes)) for look in styles.values()}) == len(names)
    assert looks(["x", "cached"])["cached"] == styles["cached"]
    assert looks(["full"])["full"].colour == INK


def test_user_strings_are_no_mathtext() -> None:
    figure = new_figure()
    ax = figure.subplots()
    evil = r"$\frac{_</text><script>"
    line = ax.plot([1, 2], [1, 2])
    lines.legend(ax, [*line, *line], [safe(evil), safe("_hidden")])
    ax.set_xlabel(safe(evil))
    svg = to_svg(figure)
    assert "<script>" not in svg
    text = "".join(ElementTree.fromstring(svg).itertext())
    assert r"$\frac{_</text><script>" in text
    assert "_hidden" in text
    assert safe("x" * 100).endswith("…")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01, "10 ms"), (0.5, "0.5 s"), (30, "30 s"), (300, "5 min"), (7200, "2 h")],
)
def test_durations_on_axes(value: float, text: str) -> None:
    assert tick_seconds(value) == text
