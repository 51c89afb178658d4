"""Reads and writes our records with fastavro, which shares no code with the Bank.

Standard input: a JSON list of {"record", "schema", "bytes", "fields"}, the bytes in hex.
A field is a plain JSON value, {"fixed": hex} or {"micros": n}.
Exits 0 when fastavro reads these fields from these bytes and writes these bytes from
these fields, else 1 with what differs.
"""

import datetime
import io
import json
import sys

import fastavro

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def to_python(field):
    if isinstance(field, dict) and "fixed" in field:
        return bytes.fromhex(field["fixed"])
    if isinstance(field, dict) and "micros" in field:
        return EPOCH + field["micros"] * MICROSECOND
    return field


def main():
    differences = []
    rows = json.load(sys.stdin)
    for row in rows:
        schema = fastavro.parse_schema(json.loads(row["schema"]))
        datum = bytes.fromhex(row["bytes"])
        fields = {name: to_python(field) for name, field in row["fields"].items()}

        source = io.BytesIO(datum)
        read = fastavro.schemaless_reader(source, schema)
        if read != fields or source.read():
            differences.append(f"{row['record']}: read {read} instead of {fields}")

        target = io.BytesIO()
        fastavro.schemaless_writer(target, schema, fields, strict=True)
        if target.getvalue() != datum:
            differences.append(
                f"{row['record']}: wrote {target.getvalue().hex()} instead of {datum.hex()}"
            )
    if not rows:
        differences.append("nothing to compare")
    print("\n".join(differences), file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
