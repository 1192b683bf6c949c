"""What the codes of freight charges mean, so that `DET` finds an item called Detention."""

from __future__ import annotations

from mapping.names import plain

_MEANINGS: dict[str, tuple[str, ...]] = {
    "linehaul": ("linehaul", "line haul", "lhl", "lh", "lhaul", "freight", "base rate", "flat rate", "haul", "400"),
    "fuel surcharge": ("fuel surcharge", "fuel", "fsc", "fuel sc", "fuelsurcharge", "fs", "405"),
    "detention": ("detention", "det", "dtn", "detention loading", "detention unloading", "dwell", "wait time"),
    "layover": ("layover", "lay", "lyo", "layo", "overnight"),
    "lumper": ("lumper", "lmp", "lump", "lumper fee", "unloading", "unl", "loading"),
    "truck ordered not used": ("tonu", "truck ordered not used", "ton", "truck order not used", "dry run", "no show"),
    "stop charge": (
        "stop",
        "stops",
        "stop charge",
        "stop off",
        "stopoff",
        "soc",
        "extra stop",
        "xstop",
        "additional stop",
    ),
    "team driver": ("team", "team driver", "teams", "team service"),
    "accessorial": ("accessorial", "accessorials", "acc", "misc", "miscellaneous", "other charge"),
    "driver assist": ("driver assist", "da", "driver assistance", "hand unload", "tailgate"),
    "tarp": ("tarp", "tarps", "tarping", "tarp fee"),
    "reefer": ("reefer", "reefer fuel", "temperature control", "temp control"),
    "pallet": ("pallet", "pallets", "pallet exchange", "plt"),
    "storage": ("storage", "sto", "yard storage"),
    "demurrage": ("demurrage", "dem", "per diem", "pd"),
    "drayage": ("drayage", "dray", "dry"),
    "chassis": ("chassis", "chs", "chassis fee", "chassis split"),
    "hazmat": ("hazmat", "haz", "hazardous", "hazardous materials"),
    "oversize": ("oversize", "os", "od", "overdimensional", "permit", "permits", "escort", "escorts"),
    "redelivery": ("redelivery", "redel", "rdl", "reconsignment", "recon", "diversion"),
    "liftgate": ("liftgate", "lift gate", "lft", "lg"),
    "residential": ("residential", "resi", "res", "residential delivery"),
    "inside delivery": ("inside delivery", "ins", "idl"),
    "toll": ("toll", "tolls"),
    "scale": ("scale", "scale ticket", "weigh", "weight ticket"),
    "washout": ("washout", "wash out", "wash", "trailer wash"),
    "deadhead": ("deadhead", "dh", "empty miles", "bobtail"),
    "quick pay fee": ("quick pay", "quickpay", "qp", "quick pay fee", "qpf", "quick pay discount"),
    "advance fee": (
        "advance fee",
        "adv fee",
        "comcheck",
        "com check",
        "efs fee",
        "fuel advance",
        "cash advance",
        "adv",
    ),
    "discount": ("discount", "disc", "dsc"),
    "claim": ("claim", "claims", "cargo claim"),
    "customs": ("customs", "border crossing", "brokerage fee", "crossing"),
}

_COST_ACCOUNTS = {
    "linehaul": (
        "purchased transportation",
        "carrier pay",
        "carrier cost",
        "carrier costs",
        "contract carriers",
        "freight cost",
        "freight costs",
        "cost of freight",
        "subhaulers",
    ),
}

_BY_WORDING = {wording: meaning for meaning, wordings in _MEANINGS.items() for wording in (meaning, *wordings)}


def meaning_of(code: str) -> str | None:
    """Give the charge that a code or a name means, in plain words; None when it is none of the usual ones."""
    words = " ".join("".join(char if char.isalnum() else " " for char in plain(code)).split())
    return _BY_WORDING.get(words) or _BY_WORDING.get(words.replace(" ", ""))


def is_cost_of(meaning: str, account: str) -> bool:
    """Say whether an account by its name is where the trade books this charge of its carriers."""
    return " ".join(plain(account).split()) in _COST_ACCOUNTS.get(meaning, ())
