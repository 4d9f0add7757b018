#!/usr/bin/env bash
# A good guess: a relative `path` of SQLite databases in `trytond.conf` is taken from the folder where Tryton is started;
# the comment in the code says so ("SQLite accepts a relative path URI like file:db/test.sqlite"), and so it was tested.
#
# What happens (PyPI trytond 8.2.1, CPython 3.11): whether the database is there is checked at the relative path, and then
# the same path from the root of the file system is opened: `trytond.config` adds `sqlite` to `urllib.parse.uses_netloc`,
# so `urlunparse` puts a slash before it. With `path = .` and as root, /NAME.sqlite is made and takes all data, and the
# database in the folder stays empty; databases of one name in two folders are one. Others cannot open it.
#
# Why it matters to people who sync orders: a backup of the folder has a database of 0 bytes, and a copy of the folder for
# trying something out works on the real orders.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check trytond==8.2.1
mkdir data
touch data/shop.sqlite
printf '[database]\nuri = sqlite://\npath = data\n' > trytond.conf
venv/bin/python - <<'PY'
import os

from trytond import config

config.update_etc("trytond.conf")
from trytond.backend.sqlite.database import Database

checked = os.path.abspath("data/shop.sqlite")
opened = Database("shop")._make_uri().partition("?")[0].removeprefix("file://")
print("checked:", checked)
print("opened: ", opened)
assert opened == "/data/shop.sqlite" != checked
print("shown: the database that is opened is not the one that was found")
PY
