"""The currencies that money is paid in: the alphabetic codes of ISO 4217 without funds, metals and testing codes."""

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""

ISO_4217 = frozenset(_CODES.split())

# QuickBooks' own names of the currencies that freight in North America is paid in.
_QUICKBOOKS_NAMES = {
    "us dollar": "USD",
    "canadian dollar": "CAD",
    "mexican peso": "MXN",
    "euro": "EUR",
    "british pound sterling": "GBP",
    "british pound": "GBP",
    "australian dollar": "AUD",
}


def currency_code(text: str | None) -> str | None:
    """Read a currency as QuickBooks names it (`US Dollar`) or as its code; None when it cannot be told."""
    if not text:
        return None
    code = text.strip().upper()
    return code if code in ISO_4217 else _QUICKBOOKS_NAMES.get(text.strip().casefold())
