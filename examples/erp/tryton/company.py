"""Makes a Tryton for the bridge in a folder: python company.py FOLDER

Its `trytond.conf`, and on SQLite the database `shop`: a company with a chart of accounts, currencies, countries, the
unit "Piece" (with decimals, as some shops sell by weight), the article "Delivery", and the tax of one cent by
which a shop's rounding is booked. Nobody knows the administrator's password: `trytond-admin -c CONFIG -d shop -p`
sets one.
"""

import os
import secrets
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CONFIG = """[database]
uri = sqlite://
path = {}

[product]
price_decimal = 8
"""


def make_tables(folder: Path) -> Path:
    """The config, and the database with the tables of all modules."""
    config = folder / "trytond.conf"
    config.write_text(CONFIG.format(folder))  # a relative path is not taken as one
    (folder / "shop.sqlite").touch()
    with TemporaryDirectory() as private:
        password = Path(private, "password")
        password.write_text(secrets.token_urlsafe() + "\n")
        command = [str(Path(sys.executable).with_name("trytond-admin")), "-c", str(config), "-d", "shop", "-l", "en"]
        command += ["--email", "admin@example.com", "--activate-dependencies", "-u", "sale_shipment_cost"]
        subprocess.run(command, env=os.environ | {"TRYTONPASSFILE": str(password)}, check=True)  # noqa: S603
    return config


def fill(config: Path) -> None:
    """The company and its records."""
    from proteus import Model
    from proteus.config import set_trytond
    from trytond.modules.account.tests.tools import create_chart, get_accounts
    from trytond.modules.company.tests.tools import create_company
    from trytond.modules.country.scripts import import_countries
    from trytond.modules.currency.scripts import import_currencies

    def make(model: str, **values: Any) -> Any:
        record = Model.get(model)(**values)
        record.save()
        return record

    set_trytond("sqlite:///shop", config_file=str(config))._context = {}  # noqa: SLF001 - as Tryton's own tests do
    import_currencies.update_currencies(import_currencies.get_currencies())
    import_countries.update_countries(import_countries.get_countries())
    create_company()
    create_chart()
    accounts = get_accounts()
    category = make("product.category", name="Shops", accounting=True, account_revenue=accounts["revenue"])
    (units,) = Model.get("product.uom.category").find([("name", "=", "Units")])
    size = {"factor": 1.0, "rate": 1.0, "rounding": 0.0001, "digits": 4}
    piece = make("product.uom", name="Piece", symbol="pc", category=units, **size)
    kind = {"type": "service", "default_uom": piece, "salable": True, "list_price": Decimal(0)}
    make("product.template", name="Delivery", code="Delivery", account_category=category, **kind)
    tax = {"name": "Cent", "description": "A cent of tax", "type": "fixed", "amount": Decimal("0.01")}
    make("account.tax", invoice_account=accounts["tax"], credit_note_account=accounts["tax"], **tax)
    sales = Model.get("sale.configuration")(1)
    sales.sale_invoice_method = "manual"  # or "order": invoices then come by themselves
    sales.sale_shipment_cost_method = None  # the shop says what delivery costs
    sales.save()


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    fill(make_tables(target))
