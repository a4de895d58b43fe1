"""Names, orders and levels of the seven tables, with the weights their levels are drawn by.

The weights are rounded shares of the public Home Credit tables; no row of those tables is in the product.
"""

from __future__ import annotations

from typing import Final

TARGET: Final = "TARGET"
CLIENT: Final = "SK_ID_CURR"
NONE_DAY: Final = 365_243  # stands in day columns for "there is none"
TABLES: Final = (
    "application",
    "bureau",
    "bureau_balance",
    "previous_application",
    "POS_CASH_balance",
    "credit_card_balance",
    "installments_payments",
)

DWELLING_MEASURES: Final = (
    "APARTMENTS", "BASEMENTAREA", "YEARS_BEGINEXPLUATATION", "YEARS_BUILD", "COMMONAREA", "ELEVATORS", "ENTRANCES",
    "FLOORSMAX", "FLOORSMIN", "LANDAREA", "LIVINGAPARTMENTS", "LIVINGAREA", "NONLIVINGAPARTMENTS", "NONLIVINGAREA",
)  # fmt: skip
BUREAU_REQUESTS: Final = tuple(
    f"AMT_REQ_CREDIT_BUREAU_{period}" for period in ("HOUR", "DAY", "WEEK", "MON", "QRT", "YEAR")
)
DOCUMENTS: Final = tuple(f"FLAG_DOCUMENT_{number}" for number in range(2, 22))

APPLICATION: Final = (
    CLIENT, TARGET, "NAME_CONTRACT_TYPE", "CODE_GENDER", "FLAG_OWN_CAR", "FLAG_OWN_REALTY", "CNT_CHILDREN",
    "AMT_INCOME_TOTAL", "AMT_CREDIT", "AMT_ANNUITY", "AMT_GOODS_PRICE", "NAME_TYPE_SUITE", "NAME_INCOME_TYPE",
    "NAME_EDUCATION_TYPE", "NAME_FAMILY_STATUS", "NAME_HOUSING_TYPE", "REGION_POPULATION_RELATIVE", "DAYS_BIRTH",
    "DAYS_EMPLOYED", "DAYS_REGISTRATION", "DAYS_ID_PUBLISH", "OWN_CAR_AGE", "FLAG_MOBIL", "FLAG_EMP_PHONE",
    "FLAG_WORK_PHONE", "FLAG_CONT_MOBILE", "FLAG_PHONE", "FLAG_EMAIL", "OCCUPATION_TYPE", "CNT_FAM_MEMBERS",
    "REGION_RATING_CLIENT", "REGION_RATING_CLIENT_W_CITY", "WEEKDAY_APPR_PROCESS_START", "HOUR_APPR_PROCESS_START",
    "REG_REGION_NOT_LIVE_REGION", "REG_REGION_NOT_WORK_REGION", "LIVE_REGION_NOT_WORK_REGION",
    "REG_CITY_NOT_LIVE_CITY", "REG_CITY_NOT_WORK_CITY", "LIVE_CITY_NOT_WORK_CITY", "ORGANIZATION_TYPE",
    "EXT_SOURCE_1", "EXT_SOURCE_2", "EXT_SOURCE_3",
    *(f"{measure}_{form}" for form in ("AVG", "MODE", "MEDI") for measure in DWELLING_MEASURES),
    "FONDKAPREMONT_MODE", "HOUSETYPE_MODE", "TOTALAREA_MODE", "WALLSMATERIAL_MODE", "EMERGENCYSTATE_MODE",
    "OBS_30_CNT_SOCIAL_CIRCLE", "DEF_30_CNT_SOCIAL_CIRCLE", "OBS_60_CNT_SOCIAL_CIRCLE", "DEF_60_CNT_SOCIAL_CIRCLE",
    "DAYS_LAST_PHONE_CHANGE", *DOCUMENTS, *BUREAU_REQUESTS,
)  # fmt: skip

SUITE: Final = {
    "Unaccompanied": 0.809, "Family": 0.131, "Spouse, partner": 0.037, "Children": 0.0107, "Other_B": 0.0058,
    "Other_A": 0.0028, "Group of people": 0.0009,
}  # fmt: skip
WORK: Final = {
    "Working": 0.632, "Commercial associate": 0.286, "State servant": 0.0815, "Student": 0.0001, "Businessman": 0.0001,
    "Maternity leave": 0.0001,
}  # fmt: skip
EDUCATION: Final = {
    "Secondary / secondary special": 0.71, "Higher education": 0.243, "Incomplete higher": 0.0334,
    "Lower secondary": 0.0124, "Academic degree": 0.0006,
}  # fmt: skip
FAMILY: Final = {
    "Married": 0.6388, "Single / not married": 0.1478, "Civil marriage": 0.0968, "Separated": 0.0643, "Widow": 0.0523,
    "Unknown": 0.00001,
}  # fmt: skip
HOUSING: Final = {
    "House / apartment": 0.8873, "With parents": 0.0483, "Municipal apartment": 0.0364, "Rented apartment": 0.0159,
    "Office apartment": 0.0085, "Co-op apartment": 0.0036,
}  # fmt: skip
# level: (weight among women, weight among men); the occupation is a proxy for the group, without any effect
OCCUPATION: Final = {
    "Laborers": (0.18, 0.38), "Sales staff": (0.22, 0.05), "Core staff": (0.16, 0.09), "Managers": (0.09, 0.11),
    "Drivers": (0.005, 0.24), "High skill tech staff": (0.05, 0.055), "Accountants": (0.07, 0.006),
    "Medicine staff": (0.06, 0.004), "Security staff": (0.012, 0.06), "Cooking staff": (0.038, 0.008),
    "Cleaning staff": (0.028, 0.005), "Private service staff": (0.018, 0.003), "Low-skill Laborers": (0.006, 0.018),
    "Waiters/barmen staff": (0.008, 0.003), "Secretaries": (0.009, 0.0005), "Realty agents": (0.004, 0.001),
    "HR staff": (0.0035, 0.0005), "IT staff": (0.0015, 0.004),
}  # fmt: skip
ORGANIZATION: Final = {
    "Business Entity Type 3": 0.2696, "Self-employed": 0.1523, "Other": 0.0662, "Medicine": 0.0444, "Government": 0.0413,
    "Business Entity Type 2": 0.0419, "School": 0.0353, "Trade: type 7": 0.0311, "Kindergarten": 0.0273,
    "Construction": 0.0267, "Business Entity Type 1": 0.0237, "Transport: type 4": 0.0214, "Trade: type 3": 0.0139,
    "Industry: type 9": 0.0134, "Industry: type 3": 0.013, "Security": 0.0129, "Housing": 0.0118,
    "Industry: type 11": 0.0107, "Military": 0.0105, "Bank": 0.0099, "Agriculture": 0.0097, "Police": 0.0093,
    "Transport: type 2": 0.0087, "Postal": 0.0086, "Security Ministries": 0.0078, "Trade: type 2": 0.0075,
    "Restaurant": 0.0072, "Services": 0.0063, "University": 0.0053, "Industry: type 7": 0.0052,
    "Transport: type 3": 0.0047, "Industry: type 1": 0.0041, "Hotel": 0.0038, "Electricity": 0.0038,
    "Industry: type 4": 0.0035, "Trade: type 6": 0.0025, "Industry: type 5": 0.0024, "Insurance": 0.0024,
    "Telecom": 0.0023, "Emergency": 0.0022, "Industry: type 2": 0.0018, "Advertising": 0.0017, "Realtor": 0.0016,
    "Culture": 0.0015, "Industry: type 12": 0.0015, "Trade: type 1": 0.0014, "Mobile": 0.0013, "Legal Services": 0.0012,
    "Cleaning": 0.001, "Transport: type 1": 0.0008, "Industry: type 6": 0.0005, "Industry: type 10": 0.0004,
    "Religion": 0.0003, "Industry: type 13": 0.0003, "Trade: type 4": 0.0003, "Trade: type 5": 0.0002,
    "Industry: type 8": 0.0001,
}  # fmt: skip
WEEKDAYS: Final = {
    "MONDAY": 0.165, "TUESDAY": 0.1753, "WEDNESDAY": 0.1688, "THURSDAY": 0.1645, "FRIDAY": 0.1637, "SATURDAY": 0.1101,
    "SUNDAY": 0.0526,
}  # fmt: skip
CAPITAL_REPAIR_FUND: Final = {
    "reg oper account": 0.76, "reg oper spec account": 0.12, "not specified": 0.06, "org spec account": 0.06,
}  # fmt: skip
HOUSE_TYPES: Final = {"block of flats": 0.982, "specific housing": 0.0098, "terraced house": 0.0082}
WALLS: Final = {
    "Panel": 0.4366, "Stone, brick": 0.4288, "Block": 0.0612, "Wooden": 0.0355, "Mixed": 0.0152, "Monolithic": 0.0118,
    "Others": 0.0107,
}  # fmt: skip
EMERGENCY: Final = {"No": 0.9856, "Yes": 0.0144}
DOCUMENT_SHARES: Final = (
    0.00004, 0.71, 0.00008, 0.0151, 0.0881, 0.0002, 0.0814, 0.0039, 0.00002, 0.0039, 0.00001, 0.0035, 0.0029, 0.0012,
    0.0099, 0.0003, 0.0081, 0.0006, 0.0005, 0.0003,
)  # fmt: skip
REQUEST_RATES: Final = (0.0064, 0.007, 0.034, 0.267, 0.265, 1.9)

LOAN_TYPES: Final = {
    "Consumer credit": 0.729, "Credit card": 0.234, "Car loan": 0.0161, "Mortgage": 0.0107, "Microloan": 0.0072,
    "Loan for business development": 0.0012, "Another type of loan": 0.0006, "Unknown type of loan": 0.0003,
    "Loan for working capital replenishment": 0.0003, "Cash loan (non-earmarked)": 0.0001,
    "Loan for the purchase of equipment": 0.00002,
}  # fmt: skip
CURRENCIES: Final = {"currency 1": 0.9992, "currency 2": 0.0007, "currency 3": 0.0001}

CASH_PURPOSE: Final = {
    "XNA": 0.88, "Repairs": 0.032, "Other": 0.021, "Urgent needs": 0.0113, "Buying a used car": 0.0039,
    "Building a house or an annex": 0.0036, "Everyday expenses": 0.0032, "Medicine": 0.0029,
    "Payments on other loans": 0.0026, "Education": 0.0021, "Journey": 0.0017,
    "Purchase of electronic equipment": 0.0014, "Buying a new car": 0.0014, "Wedding / gift / holiday": 0.0013,
    "Buying a home": 0.0012, "Car repairs": 0.0011, "Furniture": 0.001, "Buying a holiday home / land": 0.0007,
    "Business development": 0.0006, "Gasification / water supply": 0.0004, "Buying a garage": 0.0002, "Hobby": 0.0001,
}  # fmt: skip
REJECTION: Final = {
    "HC": 0.62,
    "LIMIT": 0.19,
    "SCO": 0.12,
    "SCOFR": 0.04,
    "XNA": 0.017,
    "VERIF": 0.012,
    "SYSTEM": 0.001,
}
PAYMENT: Final = {
    "Cash through the bank": 0.62, "XNA": 0.374, "Non-cash from your account": 0.005,
    "Cashless from the account of the employer": 0.001,
}  # fmt: skip
CLIENT_TYPES: Final = {"Repeater": 0.737, "New": 0.18, "Refreshed": 0.0815, "XNA": 0.0015}
GOODS: Final = {
    "Mobile": 0.308, "Consumer Electronics": 0.167, "Computers": 0.145, "Audio/Video": 0.136, "Furniture": 0.0735,
    "Photo / Cinema Equipment": 0.0343, "Construction Materials": 0.0343, "Clothing and Accessories": 0.0323,
    "Auto Accessories": 0.0101, "Jewelry": 0.0086, "Homewares": 0.0069, "Medical Supplies": 0.0053, "Vehicles": 0.0046,
    "Sport and Leisure": 0.0041, "Gardening": 0.0037, "Other": 0.0035, "Office Appliances": 0.0032, "Tourism": 0.0023,
    "Medicine": 0.0021, "Direct Sales": 0.0006, "Fitness": 0.0003, "Additional Service": 0.0002, "Education": 0.0001,
    "Weapon": 0.0001, "Insurance": 0.0001, "Animals": 0.00001, "House Construction": 0.00001,
}  # fmt: skip
CHANNELS: Final = {
    "Credit and cash offices": 0.431, "Country-wide": 0.296, "Stone": 0.127, "Regional / Local": 0.065,
    "Contact center": 0.0427, "AP+ (Cash loan)": 0.0342, "Channel of corporate sales": 0.0037, "Car dealer": 0.0003,
}  # fmt: skip
SELLERS: Final = {
    "Consumer electronics": 0.4886, "Connectivity": 0.3385, "Furniture": 0.071, "Construction": 0.0365,
    "Clothing": 0.0293, "Industry": 0.0235, "Auto technology": 0.0061, "Jewelry": 0.0033, "MLM partners": 0.0015,
    "Tourism": 0.0006,
}  # fmt: skip
