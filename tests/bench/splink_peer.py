"""Splink over the same list, in a Python of its own: `python splink_peer.py LIST.csv FOUND.json ALONE`.

The list has the fields as our matcher reads them, so that only the models differ: names canonical, numbers by kind.
The last ALONE lines are not in the batch; each is then looked up by itself, as a desk would. Gives, by threshold in
bits, the cluster of every line of the batch, and what it cost in seconds of processors.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from statistics import median

import duckdb
import splink.comparison_library as compare
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

THRESHOLDS = (5, 10, 15, 20, 25, 30)
SEED = 7


def settings() -> SettingsCreator:
    def frequent(field: str) -> object:
        return compare.ExactMatch(field).configure(term_frequency_adjustments=True)

    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record_id",
        comparisons=[
            compare.JaroWinklerAtThresholds("given", [0.9]).configure(term_frequency_adjustments=True),
            frequent("family"),
            compare.JaroWinklerAtThresholds("middle", [0.9]),
            compare.DamerauLevenshteinAtThresholds("born", [1, 2]),
            compare.ExactMatch("sex"),
            compare.DamerauLevenshteinAtThresholds("personal", [1]),
            compare.DamerauLevenshteinAtThresholds("insurance", [1]),
            compare.ExactMatch("phone"),
            frequent("commune"),
            compare.JaroWinklerAtThresholds("line", [0.9]),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("personal"),
            block_on("insurance"),
            block_on("phone"),
            block_on("letters", "year"),
            block_on("given_bare", "born"),
            block_on("family", "born", "sex"),
            block_on("born", "commune"),
        ],
        retain_matching_columns=False,
    )


def trained(api: DuckDBAPI, table: object) -> Linker:
    linker = Linker(table, settings(), log_level=40)
    train = linker.training
    train.estimate_probability_two_random_records_match([block_on("personal"), block_on("insurance")], recall=0.5)
    train.estimate_u_using_random_sampling(max_pairs=1e6, seed=SEED)
    for rule in (block_on("letters", "year"), block_on("born", "family")):
        train.estimate_parameters_using_expectation_maximisation(rule, record_sample_proportion=1.0)
    return linker


def main(source: Path, found: Path, alone: int) -> None:
    connection = duckdb.connect()
    api = DuckDBAPI(connection)
    lines = f"SELECT * FROM read_csv('{source}', all_varchar=true, nullstr='')"
    place = "CAST(substr(record_id, 2) AS INTEGER)"
    size = connection.sql(f"SELECT count(*) FROM ({lines})").fetchall()[0][0] - alone
    connection.sql(f"CREATE TABLE batch AS {lines} WHERE {place} < {size}")
    began = time.process_time()
    table = api.register("batch")
    linker = trained(api, table)
    predicted = linker.inference.predict(threshold_match_weight=min(THRESHOLDS))
    clusters = {}
    for bits in THRESHOLDS:
        grouped = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold_match_weight=bits)
        name = grouped.physical_name
        rows = connection.sql(f"SELECT cluster_id FROM {name} ORDER BY {place}").fetchall()
        clusters[bits] = [row[0] for row in rows]
    cpu = time.process_time() - began
    took = []
    for one in range(size, size + alone):
        connection.sql(f"CREATE OR REPLACE TABLE one_{one} AS {lines} WHERE {place} = {one}")
        start = time.process_time()
        linker.inference.predict_between(table, api.register(f"one_{one}"), threshold_match_weight=min(THRESHOLDS))
        took.append(1000 * (time.process_time() - start))
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    facts = {"cpu": cpu, "p50_ms": median(took), "memory": memory}
    found.write_text(json.dumps({"facts": facts, "clusters": clusters}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
