"""A freight broker's company file, realistic enough to export into."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from .company import CompanyFile


def _now() -> datetime:
    return datetime.now(UTC).astimezone()


def freight_company(name: str = "Ridgeline Freight LLC", clock: Callable[[], datetime] = _now) -> CompanyFile:
    """A file with the lists a broker with a few own trucks would keep, and some entries gone out of use."""
    company = CompanyFile.create(name, clock=clock)
    company.state.address = {
        "Addr1": name[:41],
        "Addr2": "2150 Industrial Way",
        "City": "Reno",
        "State": "NV",
        "PostalCode": "89502",
    }
    _accounts_and_items(company)
    _names(company)
    return company


def canadian_company(clock: Callable[[], datetime] = _now) -> CompanyFile:
    """The same in Canada, with the codes of the goods and services tax."""
    return _abroad("Ridgeline Freight Inc", "CA", "Canadian Dollar", {"G": "5", "H": "13"}, clock)


def british_company(clock: Callable[[], datetime] = _now) -> CompanyFile:
    """The same in the United Kingdom, with the codes of value added tax."""
    return _abroad("Ridgeline Freight Ltd", "UK", "British Pound Sterling", {"S": "20", "R": "5"}, clock)


def _abroad(
    name: str, country: str, currency: str, taxes: dict[str, str], clock: Callable[[], datetime]
) -> CompanyFile:
    company = freight_company(name, clock)
    company.state.country = country
    company.preferences.home_currency = currency
    company.state.tax_codes.clear()
    for code, percent in taxes.items():
        tax = company.add_item(f"Tax {code}", None, kind="SalesTax", description=code, percent=Decimal(percent))
        company.add_tax_code(code, is_taxable=True, description=f"{percent} percent", tax=tax)
    company.add_tax_code("E", is_taxable=False, description="Exempt")
    return company


def _accounts_and_items(company: CompanyFile) -> None:
    company.add_account("Checking", "Bank")
    company.add_account("Accounts Receivable", "AccountsReceivable")
    company.add_account("Accounts Payable", "AccountsPayable")
    income = company.add_account("Freight Income", "Income")
    fuel_income = company.add_account("Fuel Surcharge Income", "Income")
    accessorial = company.add_account("Accessorial Income", "Income", parent=income)
    carriers = company.add_account("Purchased Transportation", "CostOfGoodsSold")
    fuel = company.add_account("Fuel Surcharge Expense", "CostOfGoodsSold")
    lumper = company.add_account("Lumper Expense", "CostOfGoodsSold")
    quick_pay = company.add_account("Quick Pay Discounts", "OtherIncome")
    company.add_account("Claims Expense", "Expense")
    company.add_account("Old Brokerage Income", "Income", is_active=False)
    for name, account in (
        ("Linehaul", income),
        ("Fuel Surcharge", fuel_income),
        ("Detention", accessorial),
        ("Lumper", accessorial),
        ("TONU", income),
        ("Layover", accessorial),
        ("Stop Charge", accessorial),
        ("Team Driver", accessorial),
        ("Accessorial", accessorial),
    ):
        company.add_item(name, account, description=name)
    company.add_item("Advance Fee", quick_pay, kind="OtherCharge", description="Advance fee")
    company.add_item("Quick Pay Fee", quick_pay, kind="OtherCharge", description="Quick pay fee")
    company.add_item("Discount", income, kind="Discount", description="Discount")
    company.add_item("Pallets", accessorial, kind="NonInventory", description="Pallets", price="12.50")
    company.add_item("Carrier Linehaul", income, expense_account=carriers, description="Carrier linehaul")
    company.add_item("Carrier Fuel", fuel_income, expense_account=fuel, description="Carrier fuel surcharge")
    company.add_item("Carrier Detention", accessorial, expense_account=carriers, description="Carrier detention")
    company.add_item("Carrier Lumper", accessorial, expense_account=lumper, description="Carrier lumper")
    company.add_item("Reefer Fuel", fuel_income, description="Reefer fuel", is_active=False)
    exempt = company.add_item("Out of State", None, kind="SalesTax", description="Not taxable", percent=Decimal(0))
    company.add_tax_code("Tax", is_taxable=True, description="Taxable sales")
    company.add_tax_code("Non", is_taxable=False, description="Non-taxable sales")
    company.preferences.sales_tax_item = exempt.list_id
    for class_name in ("Brokerage", "Asset", "Drayage"):
        company.add_class(class_name)
    company.add_class("Intermodal", is_active=False)
    company.add_template("Intuit Service Invoice")
    company.add_template("Freight Invoice")
    company.add_template("Custom Estimate", "Estimate")


def _names(company: CompanyFile) -> None:
    net_30 = company.add_terms("Net 30", 30)
    net_15 = company.add_terms("Net 15", 15)
    net_45 = company.add_terms("Net 45", 45)
    company.add_terms("2% 10 Net 30", 30, discount_days=10, discount_percent=Decimal(2))
    on_receipt = company.add_terms("Due on receipt", 0)
    company.add_terms("Net 90", 90, is_active=False)

    company.add_customer("Cafe Rio Foods", terms=net_30, address=_address("Cafe Rio Foods", "Salt Lake City", "UT"))
    company.add_customer("Müller & Söhne GmbH", terms=net_45, address=_address("Müller & Söhne GmbH", "Dallas", "TX"))
    ironwood = company.add_customer(
        "Ironwood Building Supply", terms=net_30, address=_address("Ironwood Building Supply", "Boise", "ID")
    )
    company.add_customer("Load 100777", parent=ironwood)
    company.add_customer("Load 100778", parent=ironwood)
    company.add_customer("Blue Harbor Seafood", terms=net_15, address=_address("Blue Harbor Seafood", "Seattle", "WA"))
    company.add_customer("Pinnacle Paper", terms=net_45, address=_address("Pinnacle Paper", "Portland", "OR"))
    company.add_customer("Desert Bloom Nursery", address=_address("Desert Bloom Nursery", "Phoenix", "AZ"))
    company.add_customer("Closed Door Furniture", is_active=False)

    for vendor, terms in (
        ("Acme Carrier LLC", net_30),
        ("Sagebrush Trucking", net_30),
        ("Northline Express", net_15),
        ("Great Basin Haulers", net_30),
        ("Two Rivers Transport", net_45),
        ("High Desert Drayage", on_receipt),
        ("Copper State Logistics", None),
    ):
        company.add_vendor(vendor, terms=terms, address=_address(vendor, "Reno", "NV"))
    company.add_vendor("Gone Trucking Inc", is_active=False)


def _address(name: str, city: str, state: str) -> dict[str, str]:
    return {"Addr1": name, "Addr2": "100 Main Street", "City": city, "State": state, "PostalCode": "89501"}
