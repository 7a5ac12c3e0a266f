"""What the words mean, and the sweep as it ran."""

from __future__ import annotations

import yaml

from analysis.options import ReportOptions
from analysis.results.load import Results
from analysis.statistics.bootstrap import MIN_CONFIGURATIONS
from analysis.tables import Section


def section(results: Results, options: ReportOptions) -> Section:
    """Definitions, the noise model, and the resolved sweep."""
    metric = results.metric.replace("_", " ")
    direction = "larger" if results.mode == "max" else "smaller"
    paragraphs = (
        f"The metric is {metric} ({direction} is better). Searches see the validation split alone; "
        "test values are those at the epoch of a trial's best validation value, except in "
        "speed-ups, which take the last epoch as the papers do.",
        "Seconds are training plus selection unless said otherwise. Evaluation and waiting for an "
        "interval are shown, and enter no speed-up. Replaying arms are shown both without and with "
        "the seed trials' own cost.",
        "Noise: paired bootstrap. With at least "
        f"{MIN_CONFIGURATIONS} configurations these are resampled with replacement, each with all "
        "its seeds, and with several training seeds these too, each with all its configurations; "
        "the two deviations are added, the second less what the noise of single trials explains. "
        "With fewer configurations but enough seeds, seeds are resampled within each "
        "configuration, and the interval speaks of these configurations alone. Otherwise there is "
        f"no interval. Limits are expanded percentiles at {100 * options.level:g}%, from "
        f"{options.resamples:,} samples; every arm takes the same draws.",
        "Diverged and failed trials rank last and enter no mean; unfinished ones enter nothing; "
        "all are named at the top. Trials stopped early by a scheduler count with what they "
        "reached. Promoted trials enter nothing but their own section and the cost.",
    )
    text = yaml.safe_dump(dict(results.sweep), sort_keys=False, allow_unicode=True)
    shown = (("The sweep as it ran (sweep.yaml)", text),) if results.sweep else ()
    return Section("method", "How to read this report", paragraphs, open=False, preformatted=shown)
