"""Clients and their applications.

Each client has one latent quality, a standard normal score (higher = repays better). It shows in the external scores
here and in every history; no other application column depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import (
    Flags,
    Floats,
    Ints,
    blanked,
    chance,
    chosen,
    codes,
    drawn,
    logistic,
    mixed,
    money,
    named,
    shaped,
    whole,
)
from .dwelling import dwelling

_AGE_DAYS = (7_690, 8_260, 9_400, 12_400, 15_750, 19_680, 23_200, 24_420, 25_160)
_EMPLOYED_YEARS = (0.1, 0.3, 0.6, 2.1, 4.5, 8.7, 20.0, 31.0, 44.0)
_INCOME = (26_000, 45_000, 67_500, 112_500, 147_000, 202_500, 337_500, 472_500, 2_250_000)
_CREDIT = (45_000, 76_500, 135_000, 270_000, 513_000, 808_650, 1_350_000, 1_855_000, 3_600_000)
_TERM = (8.5, 9.5, 11.0, 15.5, 20.0, 27.0, 32.5, 36.5, 44.0)  # credit / annuity
_EXTERNAL = (
    (0.564, (0.015, 0.08, 0.155, 0.334, 0.506, 0.675, 0.83, 0.89, 0.95)),
    (0.0021, (0.0001, 0.03, 0.134, 0.392, 0.566, 0.664, 0.747, 0.782, 0.85)),
    (0.198, (0.0005, 0.06, 0.153, 0.371, 0.535, 0.669, 0.786, 0.83, 0.89)),
)
_QUALITY_IN_SCORES = 0.6
_HIGHEST_INCOME = 117_000_000.0  # the set has a few implausible incomes; reading warns of them
_RETIREMENT_DAYS = 20_800
_SPOUSE = ("Married", "Civil marriage")


@dataclass(frozen=True, slots=True)
class Clients:
    """What the histories are written from; arrays have one element per client."""

    ids: Ints
    quality: Floats
    income: Floats

    def __len__(self) -> int:
        return self.ids.size


def population(rng: np.random.Generator, ids: Ints, proxy_effect: float) -> tuple[Clients, pl.DataFrame]:
    """Draw the clients with these ids and their applications (121 columns, without TARGET)."""
    size = ids.size
    quality = rng.standard_normal(size)
    gender = drawn(rng, size, {"F": 0.6583, "M": 0.3416, "XNA": 0.0001})
    man = (gender == "M").to_numpy()
    columns: dict[str, pl.Series] = {words.CLIENT: pl.Series(ids), "CODE_GENDER": gender}
    income = _money_asked(rng, columns, size)
    _work(rng, columns, man, proxy_effect)
    _household(rng, columns, man)
    _region(rng, columns, size)
    _contact(rng, columns, size)
    for number, (empty, quantiles) in enumerate(_EXTERNAL, start=1):
        scores = np.round(shaped(mixed(_QUALITY_IN_SCORES, quality, rng), quantiles), 12)
        columns[f"EXT_SOURCE_{number}"] = blanked(scores, chance(rng, size, empty))
    columns |= dwelling(rng, size)
    _enquiries(rng, columns, size)
    order = [name for name in words.APPLICATION if name != words.TARGET]
    return Clients(ids, quality, income), pl.DataFrame({name: columns[name] for name in order})


def _money_asked(rng: np.random.Generator, columns: dict[str, pl.Series], size: int) -> Floats:
    wealth = rng.standard_normal(size)
    income = np.rint(shaped(wealth, _INCOME) / 2_250) * 2_250
    income[chance(rng, size, 0.000004)] = _HIGHEST_INCOME
    revolving = chance(rng, size, 0.0952)
    wish = mixed(0.5, wealth, rng)
    asked = np.rint(shaped(wish, _CREDIT) / 4_500) * 4_500
    goods = np.maximum(asked, 45_000.0)
    insured = np.where(chance(rng, size, 0.66), rng.uniform(1.05, 1.25, size), 1.0)
    card_limit = np.maximum(np.rint(goods * 0.6 / 45_000) * 45_000, 135_000.0)
    credit = np.where(revolving, card_limit, money(goods * insured))
    annuity = money(np.where(revolving, credit / 20.0, credit / shaped(mixed(0.6, wish, rng), _TERM)))
    columns["NAME_CONTRACT_TYPE"] = named(revolving.astype(np.int64), ("Cash loans", "Revolving loans"))
    columns["AMT_INCOME_TOTAL"] = pl.Series(income)
    columns["AMT_CREDIT"] = pl.Series(credit)
    columns["AMT_ANNUITY"] = blanked(np.round(np.rint(annuity / 4.5) * 4.5, 1), chance(rng, size, 0.00004))
    columns["AMT_GOODS_PRICE"] = blanked(np.where(revolving, credit, goods), chance(rng, size, 0.0009))
    columns["NAME_TYPE_SUITE"] = blanked(drawn(rng, size, words.SUITE), chance(rng, size, 0.0042))
    return income


def _work(rng: np.random.Generator, columns: dict[str, pl.Series], man: Flags, proxy_effect: float) -> None:
    size = man.size
    age = whole(shaped(rng.standard_normal(size), _AGE_DAYS))
    retiring = np.where(age > _RETIREMENT_DAYS, 0.8, np.where(age > 18_600, 0.22, 0.015))
    pensioner = chance(rng, size, retiring)
    jobless = ~pensioner & chance(rng, size, 0.0001)
    idle = pensioner | jobless
    years = shaped(rng.standard_normal(size), _EMPLOYED_YEARS) * np.where(man, np.exp(-proxy_effect), 1.0)
    employed = np.minimum(np.maximum(whole(years * 365.25), 1), age - 6_570 + 30)
    work = chosen(
        [(pensioner, pl.repeat("Pensioner", size, eager=True)), (jobless, pl.repeat("Unemployed", size, eager=True))],
        drawn(rng, size, words.WORK),
    )
    levels = tuple(words.OCCUPATION)
    trade = np.where(
        man,
        codes(rng, size, [weights[1] for weights in words.OCCUPATION.values()]),
        codes(rng, size, [weights[0] for weights in words.OCCUPATION.values()]),
    )
    columns["DAYS_BIRTH"] = pl.Series(-age)
    columns["DAYS_EMPLOYED"] = pl.Series(np.where(idle, words.NONE_DAY, -employed))
    columns["NAME_INCOME_TYPE"] = work
    columns["OCCUPATION_TYPE"] = blanked(named(trade, levels), idle | chance(rng, size, 0.163))
    columns["ORGANIZATION_TYPE"] = chosen(
        [(idle, pl.repeat("XNA", size, eager=True))], drawn(rng, size, words.ORGANIZATION)
    )
    columns["NAME_EDUCATION_TYPE"] = drawn(rng, size, words.EDUCATION)
    columns["FLAG_EMP_PHONE"] = pl.Series((~idle).astype(np.int64))
    registered = shaped(rng.standard_normal(size), (0, 57, 330, 2_010, 4_500, 7_480, 11_400, 14_000, 20_900))
    columns["DAYS_REGISTRATION"] = pl.Series(-np.minimum(whole(registered), age))
    published = shaped(rng.standard_normal(size), (0, 60, 375, 1_720, 3_254, 4_299, 4_950, 5_500, 6_230))
    columns["DAYS_ID_PUBLISH"] = pl.Series(-whole(published))


def _household(rng: np.random.Generator, columns: dict[str, pl.Series], man: Flags) -> None:
    size = man.size
    car = chance(rng, size, np.where(man, 0.55, 0.232))
    family = drawn(rng, size, words.FAMILY)
    age = -columns["DAYS_BIRTH"].to_numpy()
    children = rng.poisson(np.where(age > 18_000, 0.12, 0.58), size)
    car_age = shaped(rng.standard_normal(size), (0, 0, 1, 5, 9, 15, 28, 64, 65))
    columns["FLAG_OWN_CAR"] = named(car.astype(np.int64), ("N", "Y"))
    columns["FLAG_OWN_REALTY"] = named(chance(rng, size, 0.6937).astype(np.int64), ("N", "Y"))
    columns["OWN_CAR_AGE"] = blanked(whole(car_age), ~car)
    columns["CNT_CHILDREN"] = pl.Series(children)
    columns["NAME_FAMILY_STATUS"] = family
    columns["NAME_HOUSING_TYPE"] = drawn(rng, size, words.HOUSING)
    members = children + 1 + family.is_in(_SPOUSE).to_numpy().astype(np.int64)
    columns["CNT_FAM_MEMBERS"] = blanked(members, chance(rng, size, 0.00001))


def _region(rng: np.random.Generator, columns: dict[str, pl.Series], size: int) -> None:
    crowd = rng.standard_normal(size)
    inhabitants = shaped(crowd, (0.0005, 0.002, 0.005, 0.01, 0.0188, 0.0287, 0.0462, 0.0725, 0.0725))
    rating = 2 - (mixed(0.5, crowd, rng) > 1.26).astype(np.int64) + chance(rng, size, 0.157).astype(np.int64)
    live_region, work_region = chance(rng, size, 0.0151), chance(rng, size, 0.0406)
    live_city, work_city = chance(rng, size, 0.0782) | live_region, chance(rng, size, 0.1795) | work_region
    columns["REGION_POPULATION_RELATIVE"] = pl.Series(np.round(inhabitants, 6))
    columns["REGION_RATING_CLIENT"] = pl.Series(rating)
    columns["REGION_RATING_CLIENT_W_CITY"] = pl.Series(np.maximum(rating - chance(rng, size, 0.03), 1))
    columns["REG_REGION_NOT_LIVE_REGION"] = pl.Series(live_region.astype(np.int64))
    columns["REG_REGION_NOT_WORK_REGION"] = pl.Series((work_region | (live_region & work_city)).astype(np.int64))
    columns["LIVE_REGION_NOT_WORK_REGION"] = pl.Series(work_region.astype(np.int64))
    columns["REG_CITY_NOT_LIVE_CITY"] = pl.Series(live_city.astype(np.int64))
    columns["REG_CITY_NOT_WORK_CITY"] = pl.Series((work_city | (live_city & chance(rng, size, 0.6))).astype(np.int64))
    columns["LIVE_CITY_NOT_WORK_CITY"] = pl.Series(work_city.astype(np.int64))


def _contact(rng: np.random.Generator, columns: dict[str, pl.Series], size: int) -> None:
    shares = {
        "FLAG_MOBIL": 0.999997, "FLAG_WORK_PHONE": 0.1994, "FLAG_CONT_MOBILE": 0.9981, "FLAG_PHONE": 0.2811,
        "FLAG_EMAIL": 0.0567, **dict(zip(words.DOCUMENTS, words.DOCUMENT_SHARES, strict=True)),
    }  # fmt: skip
    for name, share in shares.items():
        columns[name] = pl.Series(chance(rng, size, share).astype(np.int64))
    hours = shaped(rng.standard_normal(size), (0, 4, 7, 10, 12, 14, 17, 19, 23))
    columns["HOUR_APPR_PROCESS_START"] = pl.Series(whole(hours))
    columns["WEEKDAY_APPR_PROCESS_START"] = drawn(rng, size, words.WEEKDAYS)
    changed = shaped(rng.standard_normal(size), (0, 0, 0, 270, 757, 1_570, 2_520, 3_140, 4_070))
    columns["DAYS_LAST_PHONE_CHANGE"] = blanked(-whole(changed), chance(rng, size, 0.00001))


def _enquiries(rng: np.random.Generator, columns: dict[str, pl.Series], size: int) -> None:
    unknown_circle = chance(rng, size, 0.0033)
    seen = rng.poisson(np.exp(rng.normal(-0.55, 1.3, size)).clip(0.0, 25.0))
    failed = rng.binomial(seen, 0.1)
    later = rng.binomial(seen, 0.99)
    columns["OBS_30_CNT_SOCIAL_CIRCLE"] = blanked(seen, unknown_circle)
    columns["DEF_30_CNT_SOCIAL_CIRCLE"] = blanked(failed, unknown_circle)
    columns["OBS_60_CNT_SOCIAL_CIRCLE"] = blanked(later, unknown_circle)
    columns["DEF_60_CNT_SOCIAL_CIRCLE"] = blanked(np.minimum(rng.binomial(failed, 0.7), later), unknown_circle)
    unknown_requests = chance(rng, size, 0.135)
    busy = logistic(rng.standard_normal(size)) * 2.0
    for name, rate in zip(words.BUREAU_REQUESTS, words.REQUEST_RATES, strict=True):
        columns[name] = blanked(rng.poisson(rate * busy), unknown_requests)
