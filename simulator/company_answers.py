"""Answers about the product and the file: Host, Company, Preferences, CompanyActivity (qbxml.md 2.3)."""

from typing import TYPE_CHECKING

from lxml import etree

from .answers import Answers, put
from .tables import SUPPORTED_VERSIONS

if TYPE_CHECKING:
    from .company import CompanyFile

_LISTS_WITH_CAPACITY = (
    *("Account", "BillingRate", "Class", "CustomerMsg", "CustomerType", "Entity", "Item", "JobType", "PaymentMethod"),
    *("PayrollItem", "PriceLevel", "SalesRep", "SalesTaxCode", "ShipMethod", "Template", "Terms", "ToDo", "Vehicle"),
    "VendorType",
)


def host(file: "CompanyFile", with_capacity: bool) -> etree._Element:
    """HostRet of the product that is played."""
    ret = etree.Element("HostRet")
    put(ret, "ProductName", "QuickBooks Enterprise Solutions 24.0")
    put(ret, "MajorVersion", "34")
    put(ret, "MinorVersion", "0")
    put(ret, "Country", file.state.country)
    for version in SUPPORTED_VERSIONS:
        put(ret, "SupportedQBXMLVersion", version)
    put(ret, "IsAutomaticLogin", False)
    put(ret, "QBFileMode", "SingleUser")
    if with_capacity:
        lists = etree.SubElement(ret, "ListMetaData")
        for name in _LISTS_WITH_CAPACITY:
            put(etree.SubElement(lists, f"{name}MetaData"), "MaxCapacity", 1000000)
    return ret


def company(file: "CompanyFile", owners: list[str]) -> etree._Element:
    """CompanyRet; private data only for the OwnerIDs asked for (qbxml.md 2.3)."""
    state = file.state
    ret = etree.Element("CompanyRet")
    put(ret, "IsSampleCompany", False)
    put(ret, "CompanyName", state.name)
    put(ret, "LegalCompanyName", state.name)
    if state.address:
        address = etree.SubElement(ret, "Address")
        for name, value in state.address.items():
            put(address, name, value)
    put(ret, "FirstMonthFiscalYear", "January")
    put(ret, "FirstMonthIncomeTaxYear", "January")
    put(ret, "CompanyType", "Transportation")
    put(ret, "EIN", state.ein)
    put(ret, "TaxForm", "Form1120S")
    services = etree.SubElement(etree.SubElement(ret, "SubscribedServices"), "Service")
    put(services, "Name", "QuickBooks Online Banking")
    put(services, "Domain", "banking.qb")
    put(services, "ServiceStatus", "Never")
    put(etree.SubElement(ret, "AccountantCopy"), "AccountantCopyExists", False)
    wanted = {owner.lower() for owner in owners}
    for owner, values in state.data_ext.items():
        for name, value in values.items() if owner.lower() in wanted else ():
            extension = etree.SubElement(ret, "DataExtRet")
            put(extension, "OwnerID", owner)
            put(extension, "DataExtName", name)
            put(extension, "DataExtType", "STR255TYPE")
            put(extension, "DataExtValue", value)
    return ret


def activity(file: "CompanyFile") -> etree._Element:
    """CompanyActivityRet: the way to notice a restored backup (qbxml.md 1.4)."""
    ret = etree.Element("CompanyActivityRet")
    put(ret, "LastRestoreTime", file.state.last_restore_time)
    return ret


def preferences(file: "CompanyFile") -> etree._Element:
    """PreferencesRet; sales tax preferences are absent while sales tax is off (qbxml.md 2.3)."""
    chosen, answers = file.preferences, Answers(file)
    ret = etree.Element("PreferencesRet")

    def part(name: str, **values: object) -> etree._Element:
        element = etree.SubElement(ret, name)
        for key, value in values.items():
            put(element, key, value if isinstance(value, bool) or value is None else str(value))
        return element

    part(
        "AccountingPreferences",
        IsUsingAccountNumbers=chosen.account_numbers,
        IsRequiringAccounts=chosen.requires_accounts,
        IsUsingClassTracking=chosen.class_tracking,
        AssignClassesTo="Items" if chosen.class_tracking else None,
        IsUsingAuditTrail=True,
        IsAssigningJournalEntryNumbers=True,
        ClosingDate=chosen.closing_date,
    )
    part(
        "FinanceChargePreferences",
        GracePeriod=0,
        IsAssessingForOverdueCharges=False,
        CalculateChargesFrom="DueDate",
        IsMarkedToBePrinted=False,
    )
    part(
        "JobsAndEstimatesPreferences",
        IsUsingEstimates=False,
        IsUsingProgressInvoicing=False,
        IsPrintingItemsWithZeroAmounts=False,
    )
    currencies = part("MultiCurrencyPreferences", IsMultiCurrencyOn=chosen.multi_currency)
    answers.currency(currencies, None, "HomeCurrencyRef")
    part(
        "MultiLocationInventoryPreferences",
        IsMultiLocationInventoryAvailable=False,
        IsMultiLocationInventoryEnabled=False,
    )
    part(
        "PurchasesAndVendorsPreferences",
        IsUsingInventory=False,
        DaysBillsAreDue=chosen.days_bills_due,
        IsAutomaticallyUsingDiscounts=False,
    )
    part("ReportsPreferences", AgingReportBasis="AgeFromDueDate", SummaryReportBasis="Accrual")
    part("SalesAndCustomersPreferences", IsTrackingReimbursedExpensesAsIncome=False, IsAutoApplyingPayments=True)
    if chosen.sales_tax_item:
        tax = part("SalesTaxPreferences")
        answers.reference(tax, "DefaultItemSalesTaxRef", chosen.sales_tax_item)
        put(tax, "PaySalesTax", "Quarterly")
        for name, taxable in (("DefaultTaxableSalesTaxCodeRef", True), ("DefaultNonTaxableSalesTaxCodeRef", False)):
            code = next(code for code in file.state.tax_codes if code.is_taxable is taxable)
            answers.reference(tax, name, code.list_id)
    part("TimeTrackingPreferences", FirstDayOfWeek="Monday")
    part(
        "CurrentAppAccessRights",
        IsAutomaticLoginAllowed=chosen.automatic_login_allowed,
        IsPersonalDataAccessAllowed=False,
    )
    part("ItemsAndInventoryPreferences", EnhancedInventoryReceivingEnabled=False)
    return ret
