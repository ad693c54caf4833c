"""What `servelite.toml` may say, and what is told where it says something else."""

import tomllib

import pytest

from servelite.core.accounts import Allowance
from servelite.core.errors import DefinitionError
from servelite.core.settings import Settings, read_settings
from servelite.core.tariff import PRESETS, Tariff


def read(text: str) -> Settings:
    return read_settings(tomllib.loads(text), "servelite.toml")


def test_nothing_said_is_algorithmias_tariff_without_limits_and_rows_for_35_days():
    assert read("") == Settings(Tariff(), {}, Allowance(), 35)


def test_a_preset_may_be_changed_in_parts():
    assert read('[tariff]\npreset = "lambda-arm"\nfree_s = 0').tariff == Tariff(
        **{**{name: getattr(PRESETS["lambda-arm"], name) for name in Tariff.__slots__}, "free_s": 0}
    )


def test_a_tariff_may_be_written_whole():
    time = "price_micro = 7\nper_s = 3\nfree_s = 1\nround_up_us = 1000\nweighs_memory = true\nleast_mib = 64\n"
    calls = "call_price_micro = 2\nper_calls = 5\nfree_calls = 4\n"
    assert read(f'[tariff]\n{time}{calls}currency = "EUR"').tariff == Tariff(
        7, 3, 1, 2, 5, 4, 1000, weighs_memory=True, least_mib=64, currency="EUR"
    )


def test_accounts_have_what_their_tables_say_and_all_others_what_the_star_says():
    settings = read('[accounts.acme]\ncredit_micro = 5_000_000\ncalls_per_s = 0.5\n[accounts."*"]\ncredit_micro = 0\nconcurrent_calls = 24')
    assert settings.allowances == {"acme": Allowance(5_000_000, 0.5)}
    assert settings.others == Allowance(0, None, 24)


def test_how_long_rows_are_kept_may_be_said():
    assert read("[ledger]\nkeep_days = 400").keep_days == 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tarif]", "servelite.toml: there is no table 'tarif'. Did you mean 'tariff'? There are: tariff, accounts, ledger."),
        ("tariff = 1", "servelite.toml: tariff is a table. Write [tariff] and its fields below."),
        ("accounts = []", "servelite.toml: accounts is a table. Write [accounts] and its fields below."),
        ("[accounts]\nacme = 5", "servelite.toml: [accounts.acme] is no table. Write for example: credit_micro = 5_000_000"),
        ('[accounts."a b"]', "servelite.toml: [accounts.'a b']: no account is named so. A name has 1 to 64 letters, digits and signs"),
        ("[tariff]\nfree = 1", "servelite.toml: [tariff] there is no field 'free'. Did you mean 'free_s'?"),
        ('[tariff]\npreset = "aws"', "servelite.toml: [tariff] preset = 'aws' is unknown. Presets: algorithmia, lambda-x86, lambda-arm."),
        ("[tariff]\npreset = 1", "servelite.toml: [tariff] preset = 1: preset is one of algorithmia, lambda-x86, lambda-arm."),
        ("[tariff]\ncurrency = ''", "servelite.toml: [tariff] currency = '': currency is a code like USD."),
        ("[tariff]\nprice_micro = -1", "servelite.toml: [tariff] price_micro = -1: price_micro is a whole number from 0."),
        ("[tariff]\nprice_micro = 0.5", "servelite.toml: [tariff] price_micro = 0.5: price_micro is a whole number from 0."),
        ("[tariff]\nprice_micro = true", "servelite.toml: [tariff] price_micro = True: price_micro is a whole number from 0."),
        ("[tariff]\nprice_micro = 1_000_000_000_000_001", "price_micro is a whole number from 0"),
        ("[tariff]\nper_s = 0", "servelite.toml: [tariff] per_s = 0: per_s is a whole number from 1."),
        ("[tariff]\nround_up_us = 0", "round_up_us is a whole number from 1."),
        ("[tariff]\nweighs_memory = 1", "servelite.toml: [tariff] weighs_memory = 1: weighs_memory is true or false."),
        (
            "[accounts.a]\nconcurrent_calls = 0",
            "servelite.toml: [accounts.a] concurrent_calls = 0: concurrent_calls is a whole number from 1.",
        ),
        ("[accounts.a]\ncalls_per_s = 0", "calls_per_s is a number from 0.000001."),
        ("[accounts.a]\ncalls_per_s = 1e-302", "calls_per_s is a number from 0.000001."),
        ("[accounts.a]\ncalls_per_s = nan", "calls_per_s is a number from 0.000001."),
        ('[accounts.a]\ncalls_per_s = "5"', "calls_per_s is a number from 0.000001."),
        ("[ledger]\nkeep_days = 0", "servelite.toml: [ledger] keep_days = 0: keep_days is a whole number from 1."),
        ("[ledger]\nkeep = 1", "servelite.toml: [ledger] there is no field 'keep'."),
    ],
)
def test_what_can_not_be_is_told_with_its_place_and_rule(text, told):
    with pytest.raises(DefinitionError) as caught:
        read(text)
    assert told in caught.value.detail
