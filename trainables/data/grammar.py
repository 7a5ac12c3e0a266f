"""Seeded synthetic text, so that the text tasks run with no download and no third-party text.

The corpus has a topic per paragraph and agreement in number between subject and verb, so that both
wide and narrow context help a model; the opinions need negation and contrast to be understood,
so that counting words does not solve them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TOPICS: dict[str, tuple[str, ...]] = {
    "harbour": ("boat", "sailor", "gull", "net", "captain", "wave", "rope", "lamp"),
    "kitchen": ("cook", "kettle", "spoon", "baker", "oven", "guest", "knife", "table"),
    "school": ("teacher", "pupil", "book", "pencil", "bell", "desk", "lesson", "map"),
    "farm": ("farmer", "horse", "field", "barn", "plough", "hen", "fence", "wagon"),
    "workshop": ("smith", "hammer", "apprentice", "wheel", "nail", "bench", "forge", "saw"),
    "garden": ("gardener", "rose", "bee", "hedge", "spade", "pond", "apple", "path"),
}
_VERBS = ("find", "need", "watch", "carry", "want", "lose", "know", "move", "hold", "see")
_QUALITIES = ("old", "small", "quiet", "bright", "heavy", "new", "narrow", "strange")
_TIMES = ("in the morning", "at noon", "every evening", "after the rain", "before winter")

_SUBJECTS = (
    "film", "story", "plot", "acting", "music", "ending", "script", "cast", "dialogue", "opening",
    "humour", "camera work", "pacing", "lead role", "second half",
)  # fmt: skip
_GOOD = (
    "charming", "clever", "moving", "brilliant", "warm", "fresh", "gripping", "funny", "honest",
    "lovely", "rich", "sharp", "tender", "vivid", "wise",
)  # fmt: skip
_BAD = (
    "dull", "clumsy", "flat", "tedious", "cold", "stale", "shallow", "messy", "false", "ugly",
    "thin", "lazy", "harsh", "vague", "silly",
)  # fmt: skip
_DEGREES = ("very", "rather", "truly", "quite", "really")
_NEGATIONS = ("not", "never", "hardly")
_LINKS = ("is", "was", "feels", "seems")
_ASIDES = (
    "we saw it on a rainy day", "it runs for two hours", "the hall was half full",
    "my neighbour came along", "it is set in a small town", "they shot it in black and white",
)  # fmt: skip


def corpus(words: int, generator: np.random.Generator) -> list[str]:
    """Lines of at least ``words`` words in all; a topic rules four lines at a time.

    Args:
        words: Least number of words.
        generator: The only source of randomness.
    """
    topics = list(_TOPICS)
    lines: list[str] = []
    count = 0
    while count < words:
        topic = topics[int(generator.integers(len(topics)))]
        for _ in range(4):
            line = _sentence(topic, generator)
            lines.append(line)
            count += line.count(" ") + 1
    return lines


def opinions(size: int, generator: np.random.Generator) -> tuple[list[str], list[int]]:
    """Sentences about films and whether they praise (1) or blame (0), half of each.

    Args:
        size: Number of sentences.
        generator: The only source of randomness.
    """
    labels = generator.permutation(np.arange(size) % 2).tolist()
    return [_opinion(label, generator) for label in labels], labels


def _sentence(topic: str, generator: np.random.Generator) -> str:
    subject, plural = _noun_phrase(topic, generator)
    verb = _pick(_VERBS, generator)
    verb = verb if plural else f"{verb}s"
    target, _ = _noun_phrase(topic, generator)
    where = f"in the {topic}" if generator.random() < 0.3 else _pick(_TIMES, generator)
    return f"{subject} {verb} {target} {where} ."


def _noun_phrase(topic: str, generator: np.random.Generator) -> tuple[str, bool]:
    noun = _pick(_TOPICS[topic], generator)
    quality = f"{_pick(_QUALITIES, generator)} " if generator.random() < 0.4 else ""
    if generator.random() < 0.4:
        return f"{_pick(('the', 'some', 'many'), generator)} {quality}{noun}s", True
    return f"{_pick(('the', 'one', 'every'), generator)} {quality}{noun}", False


def _opinion(label: int, generator: np.random.Generator) -> str:
    shape = generator.random()
    verdict = _clause(label, generator)
    if shape < 0.4:
        return f"{verdict} ."
    other = _clause(int(generator.integers(2)), generator)
    if shape < 0.6:  # the clause after "but" is the verdict
        return f"{other} , but {verdict} ."
    if shape < 0.8:  # so is the main clause, wherever it stands
        return (
            f"although {other} , {verdict} ."
            if generator.random() < 0.5
            else f"{verdict} , although {other} ."
        )
    return f"{_pick(_ASIDES, generator)} , and {verdict} ."


def _clause(label: int, generator: np.random.Generator) -> str:
    degree = f"{_pick(_DEGREES, generator)} " if generator.random() < 0.4 else ""
    negated = generator.random() < 0.3
    quality = _pick(_GOOD if bool(label) != negated else _BAD, generator)
    negation = f"{_pick(_NEGATIONS, generator)} " if negated else ""
    subject, link = _pick(_SUBJECTS, generator), _pick(_LINKS, generator)
    return f"the {subject} {link} {negation}{degree}{quality}"


def _pick(choices: Sequence[str], generator: np.random.Generator) -> str:
    # Frequencies fall as in natural text (Zipf), which is what makes some examples rare and hard.
    weights = 1 / np.arange(1, len(choices) + 1)
    position = np.searchsorted(np.cumsum(weights) / weights.sum(), generator.random())
    return choices[int(position)]
