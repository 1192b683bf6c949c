"""Element order of the requests that the simulator answers, in the notation of qbxml.md (3.1, 3.3, 4.2, 4.5).

``Name!:type`` required, ``+`` repeatable, ``@13.0`` first version, ``^`` not in the United States,
``[a | b]`` a choice; everything else optional.
"""

from .notation import Model, read

_INVOICE_LINE = """
ItemRef:ref, Desc:str4095, Quantity:quan, UnitOfMeasure@7.0:str31,
[Rate!:price | RatePercent!:pct | PriceLevelRef!@4.0:ref31], ClassRef:ref159, Amount:amt,
OptionForPriceRuleConflict@13.0:enum(Zero|BasePrice), InventorySiteRef@10.0:ref31,
InventorySiteLocationRef@12.0:ref31, [SerialNumber!:str4095 | LotNumber!:str40], ServiceDate:date, SalesTaxCodeRef:ref3,
OverrideItemAccountRef@2.0:ref159, Other1@6.0:str29, Other2@6.0:str29,
LinkToTxn@6.0{TxnID!:id, TxnLineID!:id}, DataExt+@5.0:ext
"""
_INVOICE_GROUP = """
ItemGroupRef!:ref31, Quantity:quan, UnitOfMeasure@7.0:str31, InventorySiteRef@10.0:ref31,
InventorySiteLocationRef@12.0:ref31, DataExt+@5.0:ext
"""
_INVOICE_ADD = f"""
InvoiceAdd!{{
CustomerRef!:ref209, ClassRef:ref159, ARAccountRef:ref159, TemplateRef@3.0:ref31, TxnDate:date, RefNumber:str11,
BillAddress:addr, ShipAddress:addr, IsPending:bool, IsFinanceCharge@8.0:bool, PONumber:str25, TermsRef:ref31,
DueDate:date, SalesRepRef:ref5, FOB:str13, ShipDate:date, ShipMethodRef:ref15, ItemSalesTaxRef:ref31, Memo:str4095,
CustomerMsgRef:ref101, IsToBePrinted:bool, IsToBeEmailed@6.0:bool, IsTaxIncluded@6.0^:bool,
CustomerSalesTaxCodeRef:ref3, Other@6.0:str29,
ExchangeRate@8.0:float, ExternalGUID@9.0:guid, LinkToTxnID+@6.0:id,
SetCredit+@10.0{{CreditTxnID!:id, AppliedAmount!:amt, Override:bool}},
[InvoiceLineAdd!{{{_INVOICE_LINE}}} | InvoiceLineGroupAdd!{{{_INVOICE_GROUP}}}]+
}}, IncludeRetElement+@4.0:str50
"""
_BILL_EXPENSE = """
AccountRef:ref159, Amount:amt, Memo:str4095, CustomerRef:ref209, ClassRef:ref159, SalesTaxCodeRef@6.0^:ref3,
BillableStatus@2.0:enum(Billable|NotBillable|HasBeenBilled), SalesRepRef@13.0:ref5, DataExt+@13.0:ext
"""
_BILL_ITEM = """
ItemRef:ref, InventorySiteRef@10.0:ref31, InventorySiteLocationRef@12.0:ref31,
[SerialNumber!:str4095 | LotNumber!:str40], Desc:str4095, Quantity:quan, UnitOfMeasure@7.0:str31, Cost:price,
Amount:amt, CustomerRef:ref209, ClassRef:ref159, SalesTaxCodeRef@6.0^:ref3,
BillableStatus@2.0:enum(Billable|NotBillable|HasBeenBilled),
OverrideItemAccountRef@2.0:ref159, LinkToTxn@4.0{TxnID!:id, TxnLineID!:id}, SalesRepRef@13.0:ref5, DataExt+@13.0:ext
"""
_BILL_ADD = f"""
BillAdd!{{
VendorRef!:ref41, VendorAddress@13.0:addr, APAccountRef@2.0:ref159, TxnDate:date, DueDate:date, RefNumber:str20,
TermsRef:ref31, Memo:str4095, IsTaxIncluded@6.0^:bool, SalesTaxCodeRef@6.0^:ref3, ExchangeRate@8.0:float,
ExternalGUID@9.0:guid, LinkToTxnID+@4.0:id,
ExpenseLineAdd+{{{_BILL_EXPENSE}}},
[ItemLineAdd!{{{_BILL_ITEM}}}
| ItemGroupLineAdd!{{ItemGroupRef!:ref31, Quantity:quan, UnitOfMeasure@7.0:str31, InventorySiteRef@10.0:ref31,
  InventorySiteLocationRef@12.0:ref31, DataExt+@13.0:ext}}]+
}}, IncludeRetElement+@4.0:str50
"""
_LIST_FILTER = """
MaxReturned:int, ActiveStatus:enum(ActiveOnly|InactiveOnly|All), FromModifiedDate:datetime, ToModifiedDate:datetime,
[NameFilter!{MatchCriterion!:enum(StartsWith|Contains|EndsWith), Name!:str}
| NameRangeFilter!{FromName:str, ToName:str}]
"""
_RET = "IncludeRetElement+@4.0:str50"
_OWNER = "OwnerID+@2.0:guid"


def _list_query(more: str = "", tail: str = _RET) -> str:
    return f"[ListID+!:id | FullName+!:str | {_LIST_FILTER} {more}], {tail}"


_ENTITY_MORE = """,
TotalBalanceFilter{Operator!:enum(LessThan|LessThanEqual|Equal|GreaterThan|GreaterThanEqual), Amount!:amt},
CurrencyFilter@8.0:pick, ClassFilter@12.0:filter
"""
_TRANSACTION_QUERY = f"""
[TxnID+!:id | RefNumber+!:str | RefNumberCaseSensitive+!@4.0:str | MaxReturned:int,
 [ModifiedDateRangeFilter!{{FromModifiedDate:datetime, ToModifiedDate:datetime}}
 | TxnDateRangeFilter!{{[FromTxnDate:date, ToTxnDate:date | DateMacro!:str]!}}],
 EntityFilter:filter, AccountFilter:filter,
 [RefNumberFilter!{{MatchCriterion!:enum(StartsWith|Contains|EndsWith), RefNumber!:str}}
 | RefNumberRangeFilter!{{FromRefNumber:str, ToRefNumber:str}}],
 CurrencyFilter@8.0:pick, PaidStatus:enum(All|PaidOnly|NotPaidOnly)],
IncludeLineItems:bool, IncludeLinkedTxns@1.1:bool, {_RET}, {_OWNER}
"""

LIST_DEL_TYPES = (
    *("Account", "BillingRate", "Class", "Currency", "Customer", "CustomerMsg", "CustomerType", "DateDrivenTerms"),
    *("Employee", "InventorySite", "ItemDiscount", "ItemFixedAsset", "ItemGroup", "ItemInventory"),
    *("ItemInventoryAssembly", "ItemNonInventory", "ItemOtherCharge", "ItemPayment", "ItemSalesTax"),
    *("ItemSalesTaxGroup", "ItemService", "ItemSubtotal", "JobType", "OtherName", "PaymentMethod"),
    *("PayrollItemNonWage", "PayrollItemWage", "PriceLevel", "SalesRep", "SalesTaxCode", "ShipMethod"),
    *("StandardTerms", "ToDo", "UnitOfMeasureSet", "Vehicle", "Vendor", "VendorType", "WorkersCompCode"),
)
_DELETED_RANGE = "DeletedDateRangeFilter{FromDeletedDate:datetime, ToDeletedDate:datetime}"

REQUESTS: dict[str, Model] = {
    "HostQueryRq": read(f"IncludeListMetaData@6.0{{IncludeMaxCapacity!:bool}}, {_RET}"),
    "CompanyQueryRq": read(f"{_RET}, {_OWNER}"),
    "PreferencesQueryRq": read(_RET),
    "CompanyActivityQueryRq": read(_RET),
    "CustomerQueryRq": read(_list_query(_ENTITY_MORE, f"{_RET}, {_OWNER}")),
    "VendorQueryRq": read(_list_query(_ENTITY_MORE, f"{_RET}, {_OWNER}")),
    "ItemQueryRq": read(_list_query("", f"{_RET}, {_OWNER}")),
    "AccountQueryRq": read(_list_query(", AccountType+:str, CurrencyFilter@8.0:pick", f"{_RET}, {_OWNER}")),
    "TermsQueryRq": read(_list_query()),
    "ClassQueryRq": read(_list_query()),
    "SalesTaxCodeQueryRq": read(_list_query()),
    "TemplateQueryRq": read(_RET),
    "ListDeletedQueryRq": read(f"ListDelType+!:enum({'|'.join(LIST_DEL_TYPES)}), {_DELETED_RANGE}, {_RET}"),
    "InvoiceQueryRq": read(_TRANSACTION_QUERY),
    "BillQueryRq": read(_TRANSACTION_QUERY),
    "InvoiceAddRq": read(_INVOICE_ADD),
    "BillAddRq": read(_BILL_ADD),
}

WRITES = frozenset({"InvoiceAddRq", "BillAddRq"})
WITH_ITERATOR = frozenset({"CustomerQueryRq", "VendorQueryRq", "ItemQueryRq", "InvoiceQueryRq", "BillQueryRq"})
WITHOUT_META_DATA = frozenset({"HostQueryRq", "CompanyQueryRq", "PreferencesQueryRq", "CompanyActivityQueryRq"})

SUPPORTED_VERSIONS = (
    *("1.0", "1.1", "2.0", "2.1", "3.0", "4.0", "4.1", "5.0", "6.0", "7.0", "8.0", "9.0"),
    *("10.0", "11.0", "12.0", "13.0", "14.0", "15.0", "16.0"),
)


def attributes_of(request: str) -> frozenset[str]:
    """Attributes a request may carry (qbxml.md 1.2, 4.3)."""
    names = {"requestID"}
    if request.endswith("QueryRq") and request not in WITHOUT_META_DATA:
        names.add("metaData")
    if request in WITH_ITERATOR:
        names |= {"iterator", "iteratorID"}
    return frozenset(names)
