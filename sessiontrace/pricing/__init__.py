"""The cost of a model call: from the prices of a program, else from the table of ``genai-prices``.

``prices.py`` holds a program's own prices, ``price_table.py`` reads the package's table, and
``pricer.py`` decides for a record. The sender and the server price records; exporters, stores and
pages read what the record says.
"""
