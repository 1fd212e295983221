// What the list shows is in its address, and only there.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isFiltered,
  ordered,
  queryText,
  readState,
  requestOf,
  writeState,
} from "../../../../sessiontrace/server/static/js/values/list_state.js";

test("an address is read and written without loss", () => {
  for (const search of [
    "",
    "?q=user%3Aada+cost%3A%3E0.1",
    "?errors=1&last=3600000",
    "?from=1790000000000&to=1790000001000",
    "?sort=cost",
    "?sort=cost&dir=asc",
    "?sort=name",
    "?sort=name&dir=desc",
    "?dir=asc",
    "?pick=a%2Cb",
  ])
    assert.equal(writeState(readState(search)), search);
});

test("what no page writes into an address is left out", () => {
  const search = "?sort=body&dir=sideways&last=5&from=-1&to=x&errors=yes&pick=,&other=1";
  assert.equal(writeState(readState(search)), "");
  assert.equal(isFiltered(readState(search)), false);
  assert.equal(isFiltered(readState("?sort=cost")), false);
  assert.equal(isFiltered(readState("?to=5")), true);
});

test("a column orders from the greatest, a text from A, and the same column again turns it", () => {
  const state = readState("");
  const byCost = ordered(state, "cost");
  assert.deepEqual([byCost.order, byCost.ascending], ["cost", false]);
  assert.equal(ordered(byCost, "cost").ascending, true);
  assert.equal(ordered(byCost, "name").ascending, true);
});

test("a request has the reader's clock for the dates of a query, and steps for a range", () => {
  const now = 1_790_000_012_345;
  assert.equal(
    requestOf(readState("?q=since%3Atoday"), now, 60).toString(),
    "q=since%3Atoday&tz=60",
  );
  assert.equal(requestOf(readState("?last=900000"), now).get("since"), "1789999110000");
  assert.equal(requestOf(readState("?sort=name"), now).toString(), "sort=name&dir=asc");
});

test("what the list shows is one query, for a queue of what it shows", () => {
  const state = readState("?q=user%3Aada&errors=1&last=3600000");
  assert.equal(queryText(state, 1_790_003_600_000), "user:ada error:* since:1790000000000");
  const moments = readState("?from=1790000000000&to=1790000001000");
  assert.equal(queryText(moments, 0), "since:1790000000000 before:1790000001000");
  assert.equal(queryText(readState(""), 0), "");
});
