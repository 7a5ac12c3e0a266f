"""Which names speak of a secret: ``DB_PASS``, ``hfToken``, ``account_key``, but not ``key_metric``.

A name is cut into words at its signs and capitals. What is left unmasked by mistake is published
for good, what is masked by mistake has to be named once more on a resume; so a word decides for a
secret unless its neighbours speak against it.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Wherever they stand, also inside a longer word (dbpassword, clientsecret).
_ALWAYS = re.compile(
    r"password|passwd|passwort|passwrd|passphrase|passfile|passcode|pwd|pswd|secret|credential|apikey|accesskey|privatekey|authkey|sshkey"
    r"|bearer|connectionstring"
)
# As a whole word or at the end of one (dbpass, hftoken, mykey).
_ENDS = ("pass", "passes", "token", "tokens", "key", "keys", "auth", "cred", "creds")
_WORDS = frozenset(
    {
        "pw",
        "pat",
        "private",
        "authorization",
        "authentication",
        "cookie",
        "dsn",
        "sas",
        "jwt",
        "otp",
        "netrc",
        "webhook",
    }
)
_PLAIN_WORDS = _words(
    "bypass compass encompass surpass trespass underpass overpass monkey donkey turkey hockey "
    "jockey whiskey hotkey turnkey lackey subtoken detoken"
)
# Neighbours that make a token a piece of text, a key a place in a table, a pass a turn of a loop.
_PLAIN_BESIDE = {
    "pass": "num n max min per forward backward selection train eval warmup count band filter all "
    "high low first second last epoch epochs through rate",
    "token": "pad bos eos unk cls sep mask begin end start stop special max min num n per count "
    "length len size dim level type types embedding index idx vocab dropout new image text id ids "
    "ratio budget limit window class merge train training val validation test sequence context "
    "total seen",
    "key": "metric label image sort group target feature column field frame frames point points "
    "primary foreign index value values query dim size num n padding category class head "
    "heads text input output data join partition name names row unique order mask bias proj "
    "projection",
    "auth": "",
    "private": "dataset split test set",
    "pw": "conv dw layer layers block channel channels kernel",
    "pat": "size len length stride",
}
_PLAIN = {word: _words(beside) for word, beside in _PLAIN_BESIDE.items()}


def is_secret_name(name: str) -> bool:
    """Whether what stands under a name must not be shown.

    Args:
        name: A key of a mapping, or the name of an environment variable.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    joined = "".join(words)
    if _ALWAYS.search(joined):
        return True
    return any(_is_secret(word, words) for word in words)


def _is_secret(word: str, words: list[str]) -> bool:
    if word in _PLAIN_WORDS:
        return False
    if word in _WORDS:
        return not _PLAIN.get(word, frozenset()) & set(words)
    ending = next((end for end in _ENDS if word.endswith(end)), None)
    if ending is None:
        return False
    kind = "pass" if ending.startswith("pass") else ending.removesuffix("s")
    if words in (["tokens"], ["keys"], ["passes"]):  # a bare plural counts something
        return False
    return not _PLAIN.get(kind, frozenset()) & set(words)
