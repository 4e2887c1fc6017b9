"""Questions that are answered by a query. The right rows come from asking a database."""

import random
import sqlite3

from training.question_bank.drafts import Draft, Make, whole

_NAMES = ("Ada", "Ben", "Chloe", "Dan", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jun")
_TOWNS = ("Lyon", "Porto", "Graz", "Turin")
_TABLES = """CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, town TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, item TEXT, amount INTEGER, day TEXT);"""

_QUERIES: tuple[tuple[str, str, bool], ...] = (
    (
        "Show the names of the customers in Lyon, in alphabetical order.",
        "SELECT name FROM customers WHERE town = 'Lyon' ORDER BY name",
        True,
    ),
    ("Show how many orders there are.", "SELECT COUNT(*) FROM orders", False),
    ("Show each item once, in alphabetical order.", "SELECT DISTINCT item FROM orders ORDER BY item", True),
    ("Show item and total amount of each item.", "SELECT item, SUM(amount) FROM orders GROUP BY item", False),
    (
        "Show town and number of customers of each town with more than one customer, the most customers first, towns "
        "with the same number by name.",
        "SELECT town, COUNT(*) AS n FROM customers GROUP BY town HAVING n > 1 ORDER BY n DESC, town",
        True,
    ),
    (
        "Show customer's name and item of each order of more than 50, the largest amount first, orders of the same "
        "amount by id.",
        "SELECT name, item FROM orders JOIN customers ON customers.id = customer_id WHERE amount > 50 ORDER BY amount "
        "DESC, orders.id",
        True,
    ),
    (
        "Show name and total amount of every customer by name; 0 for customers without an order.",
        "SELECT name, COALESCE(SUM(amount), 0) FROM customers LEFT JOIN orders ON customers.id = customer_id GROUP BY "
        "customers.id ORDER BY name",
        True,
    ),
    (
        "Show the names of the customers without any order, in alphabetical order.",
        "SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders) ORDER BY name",
        True,
    ),
    (
        "Show month (as YYYY-MM) and total amount of each month, the earliest first.",
        "SELECT substr(day, 1, 7) AS month, SUM(amount) FROM orders GROUP BY month ORDER BY month",
        True,
    ),
    (
        "Show id and amount of the orders above the average amount of all orders, by id.",
        "SELECT id, amount FROM orders WHERE amount > (SELECT AVG(amount) FROM orders) ORDER BY id",
        True,
    ),
    (
        "Show town and average amount of an order there, for towns with an order.",
        "SELECT town, AVG(amount) FROM orders JOIN customers ON customers.id = customer_id GROUP BY town",
        False,
    ),
    (
        "Show the names of the customers who ordered both a mug and a lamp, in alphabetical order.",
        "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE item = 'mug') "
        "AND id IN (SELECT customer_id FROM orders WHERE item = 'lamp') ORDER BY name",
        True,
    ),
    (
        "Show for each item its name and the id of its latest order; of orders of one day, the one with the larger id.",
        "SELECT item, id FROM (SELECT item, id, ROW_NUMBER() OVER (PARTITION BY item ORDER BY day DESC, id DESC) AS "
        "place "
        "FROM orders) WHERE place = 1",
        False,
    ),
    (
        "Show id, amount and running total of the amounts, for all orders by day and, on one day, by id.",
        "SELECT id, amount, SUM(amount) OVER (ORDER BY day, id) FROM orders ORDER BY day, id",
        True,
    ),
    (
        "Show town and item for the item with the largest total amount in each town; of equal totals, the item that "
        "comes first in the alphabet.",
        "SELECT town, item FROM (SELECT town, item, ROW_NUMBER() OVER (PARTITION BY town ORDER BY SUM(amount) DESC, "
        "item) AS place "
        "FROM orders JOIN customers ON customers.id = customer_id GROUP BY town, item) WHERE place = 1",
        False,
    ),
    (
        "Show the share of each customer with orders in the total amount of all orders: name and per cent as a number, "
        "not rounded.",
        "SELECT name, 100.0 * SUM(amount) / (SELECT SUM(amount) FROM orders) FROM orders JOIN customers ON "
        "customers.id = customer_id "
        "GROUP BY customers.id",
        False,
    ),
    (
        "Show pairs of names of different customers from one town, each pair once with the alphabetically first name "
        "first, ordered by both names.",
        "SELECT a.name, b.name FROM customers AS a JOIN customers AS b ON a.town = b.town AND a.name < b.name ORDER BY "
        "a.name, b.name",
        True,
    ),
    (
        "Show order id and the number of days since the previous order of the same customer, for orders with a "
        "previous one, by order id. "
        "Orders of one customer follow each other by day, then by id.",
        "SELECT id, gap FROM (SELECT id, CAST(julianday(day) - julianday(LAG(day) OVER (PARTITION BY customer_id ORDER "
        "BY day, id)) "
        "AS INTEGER) AS gap FROM orders) WHERE gap IS NOT NULL ORDER BY id",
        True,
    ),
    (
        "Show the median amount of all orders: the mean of the middle two if their number is even.",
        "SELECT AVG(amount) FROM (SELECT amount, ROW_NUMBER() OVER (ORDER BY amount) AS place, COUNT(*) OVER () AS n "
        "FROM orders) "
        "WHERE place IN ((n + 1) / 2, (n + 2) / 2)",
        False,
    ),
    (
        "Show each month from 2026-01 to 2026-12 (as YYYY-MM) with its number of orders, also months without an order, "
        "the earliest first.",
        "WITH RECURSIVE months(month) AS (SELECT '2026-01-01' UNION ALL SELECT date(month, '+1 month') FROM months "
        "WHERE month < '2026-12-01') SELECT substr(month, 1, 7), COUNT(id) FROM months "
        "LEFT JOIN orders ON substr(day, 1, 7) = substr(month, 1, 7) GROUP BY month ORDER BY month",
        True,
    ),
)


def queries(random: random.Random, level: int) -> Draft:
    """Ask for a query in SQLite's SQL; higher levels need joins, windows and recursion."""
    text, query, is_ordered = _QUERIES[2 * level + random.randrange(2)]
    people = random.sample(_NAMES, 7)
    customers = [f"({place}, '{name}', '{random.choice(_TOWNS)}')" for place, name in enumerate(people, start=1)]
    orders = [
        f"({place}, {random.randint(1, 5)}, '{random.choice(('mug', 'lamp', 'book'))}', {random.randint(5, 99)}, "
        f"'2026-{random.randint(1, 9):02d}-{random.randint(1, 28):02d}')"
        for place in range(1, 13)
    ]
    schema = (
        f"{_TABLES}\nINSERT INTO customers VALUES {', '.join(customers)};\n"
        f"INSERT INTO orders VALUES {', '.join(orders)};"
    )
    with sqlite3.connect(":memory:") as database:
        database.executescript(schema)
        rows = database.execute(query).fetchall()
    if not rows or (len(rows) == 1 and is_ordered):
        return queries(random, level)  # too easy to hit
    return whole(
        "sql",
        f"```sql\n{_TABLES}\n```\n\n`day` is a date as YYYY-MM-DD. {text}\n\n"
        "Write one SELECT statement for SQLite with exactly these columns, in one ```sql code block.",
        {"schema": schema, "rows": rows, "is_ordered": is_ordered},
        f"```sql\n{query};\n```",
    )


QUERIES: tuple[Make, ...] = (queries,)
