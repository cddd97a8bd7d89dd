"""Where the node keeps things: rows in SQLite or PostgreSQL, contents in encrypted files.

`make_engine(url)` opens a database, `migrations.migrate(engine)` brings it up to date, `Storage` gives units of work
whose attributes implement the ports of registry and consent, `FolderContentStore` keeps the bytes of documents.
A noun is one JSON text in its row; beside it stand only the columns that are searched.
"""
