"""The tokens of providers that are masked wherever they stand: the one table of them.

Facts from the providers' documentation and from the lists of gitleaks and detect-secrets. Both
forms of ``may_contain_secret`` read the table. Invariant: a token whose letters include hyphens
has a digit in its first ``_DIGIT_WITHIN`` letters: a name made of words is not a token.
"""

from __future__ import annotations

import re

from sessiontrace.model.lazy_pattern import lazy_pattern

SHORTEST_SECRET = 8
"""Characters; a shorter text matches no pattern of a token, or of any other secret."""

ALNUM = "[A-Za-z0-9]"
JOINT = "[A-Za-z0-9_-]"
HEX = "[a-f0-9]"

_DIGIT_WITHIN = 200


class TokenPattern:
    """A kind of token: a literal ``prefix``, at least ``least`` of the ``letters``, a ``suffix``.

    ``without`` is what does not follow the prefix. A plain class: making a named tuple would take
    a hundredth of the time to import the package.
    """

    __slots__ = ("least", "letters", "prefix", "suffix", "without")

    def __init__(
        self,
        prefix: str,
        letters: str = ALNUM,
        least: int = 20,
        suffix: str = "",
        without: str = "",
    ) -> None:
        self.prefix: str = prefix
        self.letters: str = letters
        self.least: int = least
        self.suffix: str = suffix
        self.without: str = without


def _of(prefixes: str, letters: str = ALNUM, least: int = 20) -> tuple[TokenPattern, ...]:
    return tuple(TokenPattern(prefix, letters, least) for prefix in prefixes.split())


TOKENS = (
    # Language models: OpenAI, Anthropic, OpenRouter, Langfuse and DeepSeek share `sk-`.
    TokenPattern("sk-", JOINT, 16, without="(?:[a-z]{1,30}[-_]{1,3}){2}"),
    *_of("pk-lf- nvapi- jina_ tvly- hl_", JOINT, 20),
    *_of("gsk_ xai- pplx- csk-", ALNUM, 30),
    *_of("hf_ api_org_ fw_ e2b_ r8_", ALNUM, 20),
    *_of("tgp_v1_ pcsk_ ABSK", JOINT, 30),
    *_of("pa-", JOINT, 40),
    *_of("key- fc-", HEX, 32),
    # Observability.
    *_of("lsv2_pt_ lsv2_sk_ ls__ pylf_v1_", JOINT, 20),
    *_of("hh_", "[A-Za-z0-9_]", 16),
    *_of("phc_ phx_ phs_", ALNUM, 20),
    *_of("sntrys_ sntryu_ glsa_ glc_ hcaik_ NRAK- wandb_v1_", JOINT, 20),
    # Clouds.
    *_of("AKIA ASIA ABIA ACCA", "[A-Z0-9]", 16),
    *_of("AIza", JOINT, 30),
    *_of("ya29. GOCSPX-", JOINT, 20),
    *_of("dop_v1_ doo_v1_ dor_v1_", HEX, 60),
    *_of("hvs. hvb. dp.pt. dp.st.", JOINT, 20),
    *_of("dapi", HEX, 32),
    *_of("AGE-SECRET-KEY-1", "[A-Z0-9]", 50),
    *_of("sbp_ pscale_tkn_ pscale_pw_ HRKU- vcp_ nfp_", JOINT, 20),
    # Code and packages.
    *_of("ghp_ gho_ ghu_ ghs_ ghr_", ALNUM, 20),
    *_of("github_pat_", "[A-Za-z0-9_]", 20),
    *_of("glpat- glrt- gldt- glptt- glcbt- glsoat- glft- glagent- gloas-", JOINT, 16),
    *_of("npm_", ALNUM, 30),
    *_of("secret_", ALNUM, 40),  # Notion's older ones
    *_of("pypi- dckr_pat_ rubygems_ ATATT3 figd_ lin_api_ ntn_", JOINT, 20),
    # Payment, mail, chat.
    *_of("sk_live_ sk_test_ rk_live_ rk_test_ whsec_", ALNUM, 10),
    *_of("shpat_ shpss_ shpca_ shppa_", ALNUM, 30),
    *_of("sq0atp- sq0csp-", JOINT, 20),
    *_of("sk_", ALNUM, 32),
    TokenPattern("SG.", JOINT, 16, r"\.[A-Za-z0-9_-]{16,}"),
    *_of("SK AC", HEX, 32),
    *_of("xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp- xoxc- xoxd-", "[A-Za-z0-9-]", 11),
    TokenPattern("eyJ", JOINT, 13, r"\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),  # JWT
)
"""The tokens that are masked."""


def _pattern(token: TokenPattern) -> str:
    """A token as a regular expression."""
    digit = ""
    if token.letters in {JOINT, HEX} and token.prefix != "eyJ":
        digit = f"(?=[A-Za-z0-9_.-]{{0,{_DIGIT_WITHIN}}}[0-9])"
    without = f"(?!{token.without})" if token.without else ""
    letters = f"{token.letters}{{{token.least},}}"
    return re.escape(token.prefix) + digit + without + letters + token.suffix


TOKEN = lazy_pattern(
    "(?<![A-Za-z0-9])(?:" + "|".join(map(_pattern, TOKENS)) + ")"
    r"|(?<![A-Za-z0-9])\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"  # Telegram
    r"|(?<![A-Za-z0-9_.-])[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}"
    r"\.[A-Za-z0-9_-]{27,40}"  # Discord
    r"|(?<=hooks\.slack\.com/services/)(?=[A-Za-z0-9/]{0,60}[0-9])[A-Za-z0-9/]{20,}"
    r"|(?<=\.com/api/webhooks/)\d{16,20}/[A-Za-z0-9_-]{40,}"
    r"|(?<![A-Za-z0-9_~.])[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"  # Azure AD
)
