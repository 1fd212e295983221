// Media in records: which element shows a type, and what a rule of retention reads like.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isDigest,
  mediaOf,
  pcmQuery,
  playerOf,
} from "../../../../sessiontrace/server/static/js/values/media.js";
import {
  describedRule,
  previewText,
  ruleOf,
} from "../../../../sessiontrace/server/static/js/values/retention.js";

test("what may run is never shown in place", () => {
  assert.equal(playerOf("image/png"), "img");
  assert.equal(playerOf("audio/wav"), "audio");
  assert.equal(playerOf("video/mp4"), "video");
  for (const type of ["image/svg+xml", "text/html", "application/pdf", "", "image/png;x"])
    assert.equal(playerOf(type), null, type);
});

test("raw sound has a rate", () => {
  assert.equal(pcmQuery("audio/pcm;rate=16000"), "?pcm=16000");
  assert.equal(pcmQuery("audio/L16"), "?pcm=24000");
  assert.equal(pcmQuery("audio/pcm;rate=9999999"), "?pcm=24000");
  assert.equal(pcmQuery("audio/wav"), "");
});

test("a stored medium is known by its digest, and by the type beside it", () => {
  const data = {
    media_type: "application/octet-stream",
    bytes: 9,
    sha256: "a".repeat(64),
    stored: true,
  };
  const media = mediaOf({ inline_data: { mime_type: "audio/pcm;rate=24000", data } });
  assert.equal(media?.type, "audio/pcm;rate=24000");
  assert.equal(media?.stored, true);
  assert.equal(isDigest({ bytes: 1, sha256: "b", stored: true }), true);
  assert.equal(isDigest({ bytes: 1, sha256: "b" }), false);
});

test("an empty field is no limit", () => {
  assert.deepEqual(ruleOf("", " "), { days: null, most_bytes: null });
  assert.deepEqual(ruleOf("0.5", "2"), { days: 0.5, most_bytes: 2097152 });
});

test("a rule says what it deletes", () => {
  const at = (time) => `t${time}`;
  assert.equal(previewText({ sessions: 0 }, at), "This deletes no session now.");
  assert.equal(
    previewText({ sessions: 3, aged: 2, excess: 1, oldest: 1, newest: 2 }, at),
    "This deletes 2 sessions for their age and about 1 session for the size, last written from " +
      "t1 to t2. Their steps, texts and media go with them.",
  );
  assert.match(describedRule({ database_days: 30 }), /^ClickHouse deletes each record 30 days/);
  assert.match(describedRule({ database_days: 0 }), /deletes nothing/);
});
