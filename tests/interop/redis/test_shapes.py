"""redis-py's own asyncio client and ours give the same results for the same commands."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import pytest
import redis.asyncio
import redis.exceptions

from tests.servers import RunningServer
from wirekit.adapters.redis import Redis
from wirekit.sockets import connect

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")

Case = Callable[[Any], Awaitable[Any]]
Value = dict[Any, Any] | list[Any] | tuple[Any, ...] | set[Any] | bytes | str | float | None

DATABASE = 7

# Run from first to last: what is written stays for those behind.
STRINGS: list[Case] = [
    lambda c: c.set("s", "text"),
    lambda c: c.set("s", "other", nx=True),
    lambda c: c.set("s", "new", get=True),
    lambda c: c.set("with ttl", "1", ex=1000),
    lambda c: c.get("s"),
    lambda c: c.get("missing"),
    lambda c: c.getset("s", "text"),
    lambda c: c.getdel("with ttl"),
    lambda c: c.getex("s", persist=True),
    lambda c: c.append("s", "!"),
    lambda c: c.strlen("s"),
    lambda c: c.getrange("s", 0, 2),
    lambda c: c.substr("s", 1, 2),
    lambda c: c.setrange("s", 1, "E"),
    lambda c: c.setnx("s", "x"),
    lambda c: c.setnx("s2", "x"),
    lambda c: c.setex("s3", 1000, "x"),
    lambda c: c.psetex("s4", 1_000_000, "x"),
    lambda c: c.mset({"m1": 1, "m2": 2.5}),
    lambda c: c.msetnx({"m1": 1, "m9": 2}),
    lambda c: c.mget("m1", "missing", "m2"),
    lambda c: c.mget([]),
    lambda c: c.incr("n"),
    lambda c: c.incrby("n", 4),
    lambda c: c.decr("n"),
    lambda c: c.decrby("n", 2),
    lambda c: c.incrbyfloat("n", 0.25),
    lambda c: c.lcs("s", "s3"),
    lambda c: c.lcs("s", "s", len=True),
    lambda c: c.lcs("s", "s", idx=True, withmatchlen=True),
    lambda c: c.setbit("bits", 7, 1),
    lambda c: c.getbit("bits", 7),
    lambda c: c.bitcount("bits"),
    lambda c: c.bitpos("bits", 1),
    lambda c: c.bitop("NOT", "bits2", "bits"),
    lambda c: c.bitfield("bits").set("u8", 0, 255).get("u4", 0).execute(),
    lambda c: c.pfadd("hll", "a", "b", "c"),
    lambda c: c.pfcount("hll"),
    lambda c: c.pfmerge("hll2", "hll"),
    lambda c: c.lpush("s", "x"),
    lambda c: c.incr("s"),
]
KEYS: list[Case] = [
    lambda c: c.exists("s", "missing"),
    lambda c: c.type("s"),
    lambda c: c.type("missing"),
    lambda c: c.expire("s", 5000),
    lambda c: c.expire("missing", 5000),
    lambda c: c.persist("s"),
    lambda c: c.ttl("s"),
    lambda c: c.ttl("missing"),
    lambda c: c.pttl("s"),
    lambda c: c.expireat("s", 4_000_000_000),
    lambda c: c.expiretime("s"),
    lambda c: c.pexpireat("s", 4_000_000_000_000),
    lambda c: c.pexpiretime("s"),
    lambda c: c.rename("s2", "s5"),
    lambda c: c.rename("missing", "s5"),
    lambda c: c.renamenx("s5", "s"),
    lambda c: c.copy("s", "s6"),
    lambda c: c.touch("s", "s6"),
    lambda c: c.object("encoding", "n"),
    lambda c: c.object("refcount", "s6"),
    lambda c: c.move("s6", 8),
    lambda c: c.delete("s5", "missing"),
    lambda c: c.unlink("s4"),
    lambda c: c.dump("missing"),
    lambda c: c.dbsize(),
    lambda c: c.keys("m1"),
    lambda c: c.scan(match="m1", count=1000),
    lambda c: c.memory_usage("missing"),
    lambda c: c.wait(0, 1),
]
HASHES: list[Case] = [
    lambda c: c.hset("h", mapping={"a": "1", "b": "2", "c": "3"}),
    lambda c: c.hset("h", "a", "9"),
    lambda c: c.hget("h", "a"),
    lambda c: c.hget("h", "missing"),
    lambda c: c.hgetall("h"),
    lambda c: c.hgetall("missing"),
    lambda c: c.hmget("h", "a", "missing"),
    lambda c: c.hkeys("h"),
    lambda c: c.hvals("h"),
    lambda c: c.hlen("h"),
    lambda c: c.hexists("h", "a"),
    lambda c: c.hsetnx("h", "a", "1"),
    lambda c: c.hstrlen("h", "a"),
    lambda c: c.hincrby("h", "a", 2),
    lambda c: c.hincrbyfloat("h", "a", 0.5),
    lambda c: c.hdel("h", "b", "missing"),
    lambda c: c.hscan("h"),
    lambda c: c.hset("one", "f", "v"),
    lambda c: c.hrandfield("one"),
    lambda c: c.hrandfield("one", 2),
    lambda c: c.hrandfield("one", 2, withvalues=True),
    lambda c: c.hrandfield("missing"),
    lambda c: c.hexpire("h", 1000, "a"),
]
LISTS: list[Case] = [
    lambda c: c.rpush("l", "a", "b", "c", "d"),
    lambda c: c.lpush("l", "z"),
    lambda c: c.lpushx("missing", "z"),
    lambda c: c.rpushx("l", "e"),
    lambda c: c.lrange("l", 0, -1),
    lambda c: c.lindex("l", 1),
    lambda c: c.lindex("l", 100),
    lambda c: c.linsert("l", "before", "b", "x"),
    lambda c: c.llen("l"),
    lambda c: c.lpos("l", "b"),
    lambda c: c.lpos("l", "b", count=0),
    lambda c: c.lset("l", 0, "y"),
    lambda c: c.lset("l", 100, "y"),
    lambda c: c.lrem("l", 1, "x"),
    lambda c: c.ltrim("l", 0, 4),
    lambda c: c.lpop("l"),
    lambda c: c.rpop("l", 2),
    lambda c: c.lpop("missing"),
    lambda c: c.lmove("l", "l2", "LEFT", "RIGHT"),
    lambda c: c.rpoplpush("l", "l2"),
    lambda c: c.rpush("l", "p", "q", "r", "s", "t", "u"),
    lambda c: c.lmpop(2, "missing", "l", direction="LEFT", count=2),
    lambda c: c.lmpop(1, "missing", direction="LEFT"),
    lambda c: c.blpop("l", timeout=1),
    lambda c: c.brpop(["l"], timeout=1),
    lambda c: c.blpop("missing", timeout=0.01),
    lambda c: c.blmpop(0.01, 1, "l", direction="RIGHT"),
    lambda c: c.blmpop(0.01, 1, "missing", direction="RIGHT"),
    lambda c: c.blmove("l", "l2", 0.01),
    lambda c: c.brpoplpush("missing", "l2", 0.01),
    lambda c: c.sort("l2", alpha=True, desc=True),
    lambda c: c.sort("l2", alpha=True, get=["#", "missing*"], groups=True),
    lambda c: c.sort("l2", alpha=True, store="l3"),
]
SETS: list[Case] = [
    lambda c: c.sadd("set", "a", "b", "c"),
    lambda c: c.sadd("set2", "b"),
    lambda c: c.smembers("set"),
    lambda c: c.smembers("missing"),
    lambda c: c.scard("set"),
    lambda c: c.sismember("set", "a"),
    lambda c: c.smismember("set", "a", "missing"),
    lambda c: c.sinter("set", "set2"),
    lambda c: c.sinter("set", "missing"),
    lambda c: c.sintercard(2, ["set", "set2"]),
    lambda c: c.sinterstore("set3", "set", "set2"),
    lambda c: c.sdiff("set", "set2"),
    lambda c: c.sdiffstore("set3", "set", "set2"),
    lambda c: c.sunion("set", "set2"),
    lambda c: c.sunionstore("set3", "set", "set2"),
    lambda c: c.srandmember("set2"),
    lambda c: c.srandmember("set2", 3),
    lambda c: c.smove("set", "set3", "c"),
    lambda c: c.srem("set", "a", "missing"),
    lambda c: c.spop("set2"),
    lambda c: c.spop("set", 5),
    lambda c: c.spop("missing"),
    lambda c: c.spop("missing", 2),
    lambda c: c.sscan("set3"),
]
SORTED_SETS: list[Case] = [
    lambda c: c.zadd("z", {"a": 1, "b": 2.5, "c": 3}),
    lambda c: c.zadd("z", {"a": 2}, ch=True),
    lambda c: c.zadd("z", {"a": 1}, incr=True),
    lambda c: c.zadd("z", {"a": 1}, incr=True, nx=True),
    lambda c: c.zadd("z2", {"b": 1, "d": "inf"}),
    lambda c: c.zcard("z"),
    lambda c: c.zcount("z", 0, 3),
    lambda c: c.zincrby("z", 1.5, "a"),
    lambda c: c.zscore("z", "a"),
    lambda c: c.zscore("z", "missing"),
    lambda c: c.zmscore("z", ["a", "missing"]),
    lambda c: c.zrank("z", "a"),
    lambda c: c.zrank("z", "missing"),
    lambda c: c.zrank("z", "a", withscore=True),
    lambda c: c.zrevrank("z", "a"),
    lambda c: c.zrange("z", 0, -1),
    lambda c: c.zrange("z", 0, -1, withscores=True),
    lambda c: c.zrange("z2", 0, -1, withscores=True),
    lambda c: c.zrange("z", 0, -1, withscores=True, score_cast_func=int),
    lambda c: c.zrange("z", 0, -1, withscores=True, score_cast_func=str),
    lambda c: c.zrange("missing", 0, -1, withscores=True),
    lambda c: c.zrangestore("z3", "z", 0, 1),
    lambda c: c.zrevrange("z", 0, -1, withscores=True),
    lambda c: c.zrangebyscore("z", 0, 3, withscores=True),
    lambda c: c.zrevrangebyscore("z", 3, 0, withscores=True),
    lambda c: c.zrangebylex("z", "-", "+"),
    lambda c: c.zrevrangebylex("z", "+", "-"),
    lambda c: c.zlexcount("z", "-", "+"),
    lambda c: c.zinter(["z", "z2"]),
    lambda c: c.zinter(["z", "z2"], withscores=True),
    lambda c: c.zintercard(2, ["z", "z2"]),
    lambda c: c.zinterstore("z4", ["z", "z2"]),
    lambda c: c.zunion(["z", "z2"]),
    lambda c: c.zunion(["z", "z2"], withscores=True),
    lambda c: c.zunionstore("z4", {"z": 2, "z2": 1}),
    lambda c: c.zdiff(["z", "z2"]),
    lambda c: c.zdiff(["z", "z2"], withscores=True),
    lambda c: c.zdiffstore("z5", ["z", "z2"]),
    lambda c: c.zadd("single", {"m": 1.5}),
    lambda c: c.zrandmember("single"),
    lambda c: c.zrandmember("single", 1),
    lambda c: c.zrandmember("single", 1, withscores=True),
    lambda c: c.zscan("z"),
    lambda c: c.zpopmin("z"),
    lambda c: c.zpopmax("z4", 2),
    lambda c: c.zpopmin("missing"),
    lambda c: c.bzpopmin("z2", timeout=1),
    lambda c: c.bzpopmax("z2", timeout=1),
    lambda c: c.bzpopmax("missing", timeout=0.01),
    lambda c: c.zadd("z", {"a": 1, "b": 2.5, "c": 3}),
    lambda c: c.zmpop(1, ["z"], min=True, count=2),
    lambda c: c.zmpop(1, ["missing"], min=True),
    lambda c: c.bzmpop(0.01, 1, ["z"], max=True),
    lambda c: c.bzmpop(0.01, 1, ["missing"], max=True),
    lambda c: c.zrem("z", "a", "missing"),
    lambda c: c.zremrangebyrank("z3", 0, 0),
    lambda c: c.zremrangebyscore("z3", 0, 100),
    lambda c: c.zremrangebylex("z3", "-", "+"),
]
STREAMS: list[Case] = [
    lambda c: c.xadd("x", {"f": "v"}, id="1-1"),
    lambda c: c.xadd("x", {"f": "w", "g": "u"}, id="2-1"),
    lambda c: c.xadd("x", {"f": "v"}, id="1-1"),
    lambda c: c.xadd("missing", {"f": "v"}, nomkstream=True),
    lambda c: c.xlen("x"),
    lambda c: c.xrange("x"),
    lambda c: c.xrange("missing"),
    lambda c: c.xrevrange("x", count=1),
    lambda c: c.xread({"x": "0"}),
    lambda c: c.xread({"x": "0", "missing": "0"}, count=1),
    lambda c: c.xread({"x": "$"}, block=10),
    lambda c: c.xgroup_create("x", "g", id="0"),
    lambda c: c.xgroup_create("x", "g", id="0"),
    lambda c: c.xgroup_createconsumer("x", "g", "idler"),
    lambda c: c.xreadgroup("g", "worker", {"x": ">"}),
    lambda c: c.xreadgroup("g", "worker", {"x": ">"}, block=10),
    lambda c: c.xreadgroup("g", "worker", {"x": "0"}),
    lambda c: c.xpending("x", "g"),
    lambda c: c.xpending("missing", "g"),
    lambda c: c.xack("x", "g", "1-1"),
    lambda c: c.xclaim("x", "g", "other", 0, ["2-1"]),
    lambda c: c.xclaim("x", "g", "other", 0, ["2-1"], justid=True),
    lambda c: c.xautoclaim("x", "g", "worker", 0),
    lambda c: c.xautoclaim("x", "g", "worker", 0, justid=True),
    lambda c: c.xinfo_groups("x"),
    lambda c: c.xinfo_stream("x"),
    lambda c: c.xgroup_setid("x", "g", "0"),
    lambda c: c.xgroup_delconsumer("x", "g", "idler"),
    lambda c: c.xgroup_destroy("x", "g"),
    lambda c: c.xinfo_consumers("x", "g"),
    lambda c: c.xdel("x", "1-1"),
    lambda c: c.xtrim("x", maxlen=0),
]
PLACES: list[Case] = [
    lambda c: c.geoadd("geo", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"]),
    lambda c: c.geodist("geo", "Palermo", "Catania", "km"),
    lambda c: c.geodist("geo", "Palermo", "missing"),
    lambda c: c.geohash("geo", "Palermo", "missing"),
    lambda c: c.geopos("geo", "Palermo", "missing"),
    lambda c: c.geosearch("geo", longitude=15, latitude=37, radius=200, unit="km", sort="ASC"),
    lambda c: c.geosearch(
        "geo",
        member="Palermo",
        radius=200,
        unit="km",
        sort="ASC",
        withcoord=True,
        withdist=True,
        withhash=True,
    ),
    lambda c: c.georadius("geo", 15, 37, 200, unit="km", sort="ASC", withdist=True),
    lambda c: c.georadiusbymember("geo", "Palermo", 200, unit="km", sort="ASC"),
    lambda c: c.geosearchstore("geo2", "geo", longitude=15, latitude=37, radius=200, unit="km"),
]
# Where RESP3 has sets of words.
FLAGS: list[Case] = [
    lambda c: c.client_trackinginfo(),
    lambda c: c.execute_command("COMMAND INFO", "get", "nosuchcommand"),
    lambda c: c.execute_command("COMMAND INFO", "ping"),
    lambda c: c.execute_command("COMMAND DOCS", "get"),
    lambda c: c.command_getkeysandflags("SET", "a", 1),
    lambda c: c.eval("redis.setresp(3); return {{set={a=true}}}", 0),
    lambda c: c.acl_setuser(
        "shapes",
        enabled=True,
        passwords=["+secret"],
        categories=["+@read"],
        commands=["-get"],
        keys=["k*"],
        channels=["c*"],
    ),
    lambda c: c.acl_getuser("shapes"),
    lambda c: c.acl_getuser("nobody"),
    lambda c: c.function_load(
        "#!lua name=shapes\nredis.register_function{function_name='f', "
        "callback=function(keys, args) return args[1] end, flags={'no-writes'}}",
        replace=True,
    ),
    lambda c: c.function_list(library="shapes", withcode=True),
]
SCRIPTS: list[Case] = [
    lambda c: c.eval("return {1, 'two', false, {ok='FINE'}}", 0),
    lambda c: c.eval("return redis.error_reply('ODD broken')", 0),
    lambda c: c.eval("return KEYS[1] .. ARGV[1]", 1, "k", "a"),
    lambda c: c.eval("redis.setresp(3); return redis.call('hgetall', KEYS[1])", 1, "one"),
    lambda c: c.eval("redis.setresp(3); return {double=1.5}", 0),
    lambda c: c.eval("return {map={}}", 0),
    lambda c: c.eval("redis.setresp(3); return {true, false}", 0),
    lambda c: c.evalsha("0" * 40, 0),
    lambda c: c.script_load("return 1"),
    lambda c: c.script_exists("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0" * 40),
    lambda c: c.script_flush(),
    lambda c: c.register_script("return ARGV[1]")(args=["x"]),
    lambda c: c.fcall("f", 0, "x"),
    lambda c: c.fcall_ro("f", 0, "x"),
    lambda c: c.function_stats(),
    lambda c: c.function_delete("shapes"),
]
SERVER: list[Case] = [
    lambda c: c.ping(),
    lambda c: c.echo("hello"),
    lambda c: c.client_getname(),
    lambda c: c.client_setname("shapes"),
    lambda c: c.client_getname(),
    lambda c: c.client_no_evict("OFF"),
    lambda c: c.client_pause(1),
    lambda c: c.client_unpause(),
    lambda c: c.client_kill_filter(_id="999999999"),
    lambda c: c.client_kill("127.0.0.1:1"),
    lambda c: c.config_get("maxmemory*"),
    lambda c: c.config_get("no such thing"),
    lambda c: c.config_set("maxmemory-samples", 5),
    lambda c: c.config_set("no-such-thing", 5),
    lambda c: c.config_resetstat(),
    lambda c: c.command_count(),
    lambda c: c.command_list(module="nosuchmodule"),
    lambda c: c.command_getkeys("MSET", "a", 1, "b", 2),
    lambda c: c.acl_whoami(),
    lambda c: c.acl_users(),
    lambda c: c.acl_list(),
    lambda c: c.acl_dryrun("shapes", "GET", "k"),
    lambda c: c.acl_deluser("shapes"),
    lambda c: c.acl_log_reset(),
    lambda c: c.acl_log(),
    lambda c: c.acl_help(),
    lambda c: c.pubsub_channels(),
    lambda c: c.pubsub_numsub("a", "b"),
    lambda c: c.pubsub_numpat(),
    lambda c: c.publish("nobody", "hears"),
    lambda c: c.spublish("nobody", "hears"),
    lambda c: c.slowlog_reset(),
    lambda c: c.slowlog_get(),
    lambda c: c.latency_latest(),
    lambda c: c.latency_reset(),
    lambda c: c.latency_history("nothing"),
    lambda c: c.execute_command("LATENCY HISTOGRAM", "nosuchcommand"),
    lambda c: c.memory_purge(),
    lambda c: c.module_list(),
    lambda c: c.module_load("/nowhere.so"),
    lambda c: c.execute_command("OBJECT HELP"),
    lambda c: c.role(),
    lambda c: c.lolwut(5, 1, 1, 1),
    lambda c: c.readonly(),
    lambda c: c.execute_command("NO SUCH COMMAND"),
    lambda c: c.execute_command("get", "n"),
    lambda c: c.execute_command(b"GET", b"n"),
    lambda c: c.swapdb(8, 9),
    lambda c: c.flushdb(asynchronous=True),
]
ORDERED = [*STRINGS, *KEYS, *HASHES, *LISTS, *SORTED_SETS, *STREAMS, *PLACES]
UNORDERED = [*SETS, *FLAGS]  # redis-py makes lists of RESP3's sets
CASES = [*ORDERED, *UNORDERED, *SCRIPTS, *SERVER]

# What no two calls give alike, or only the kind and keys of which are the same.
VARYING: list[Case] = [
    lambda c: c.slowlog_len(),
    lambda c: c.info(),
    lambda c: c.info("server", "clients"),
    lambda c: c.time(),
    lambda c: c.lastsave(),
    lambda c: c.randomkey(),
    lambda c: c.memory_malloc_stats(),
    lambda c: c.client_id(),
    lambda c: c.client_info(),
    lambda c: c.client_list(),
    lambda c: c.memory_stats(),
    lambda c: c.execute_command("MEMORY DOCTOR"),
    lambda c: c.execute_command("LATENCY DOCTOR"),
    lambda c: c.acl_genpass(),
    lambda c: c.config_get("*"),
    lambda c: c.command(),
    lambda c: c.object("idletime", "missing"),
    lambda c: c.debug_object("missing"),
]


async def outcome(client: Any, case: Case) -> Any:
    """Return the result, or a picture of the error."""
    try:
        return await case(client)
    except redis.exceptions.RedisError as error:
        kinds = [kind for kind in type(error).__mro__ if kind.__module__ == "redis.exceptions"]
        # Ours does not show the arguments of a command that the server does not know.
        return kinds[0], str(error).partition(", with args beginning with")[0]


def exact(value: Value, *, ordered: bool = True) -> Any:
    """Return what is equal only for the same values of the same types, lists in the same order."""
    if isinstance(value, dict):
        pairs = [(exact(key), exact(item, ordered=ordered)) for key, item in value.items()]
        return "dict", sorted(pairs, key=repr)
    if isinstance(value, list | tuple | set):
        items = [exact(item, ordered=ordered) for item in value]
        sort = isinstance(value, set) or not ordered
        return type(value).__name__, sorted(items, key=repr) if sort else items
    return type(value).__name__, value


def kind(value: Value) -> Any:
    """Return the types within a value, and the keys of its maps."""
    if isinstance(value, dict):
        return {key: kind(item) for key, item in value.items() if not str(key).startswith("db")}
    if isinstance(value, list | tuple | set):
        return type(value).__name__, {repr(kind(item)) for item in value}
    return type(value).__name__


@pytest.fixture(params=[None, 2, 3], ids=["default", "resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> Literal[2, 3] | None:
    wanted: Literal[2, 3] | None = request.param
    return wanted


@pytest.fixture(params=[True, False], ids=["legacy", "unified"])
def legacy_responses(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["bytes", "text"])
def decode_responses(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def quick_server(server: RunningServer) -> Iterator[RunningServer]:
    """The server, which looks every 2 ms and not every 100 whose waiting is over.

    And which takes nothing for slow, as on a busy machine anything may be.
    """
    client: Any = redis.Redis(host=server.host, port=server.port)
    with client as admin:
        usual = admin.config_get("hz", "slowlog-log-slower-than")
        admin.config_set("hz", 500, "slowlog-log-slower-than", -1)
        admin.slowlog_reset()
        yield server
        for name, value in usual.items():
            admin.config_set(name, value)


async def test_the_results_are_those_of_redis_py(
    quick_server: RunningServer,
    protocol: Literal[2, 3] | None,
    legacy_responses: bool,
    decode_responses: bool,
) -> None:
    host, port = quick_server.host, quick_server.port
    settings: Any = {"legacy_responses": legacy_responses, "decode_responses": decode_responses}
    asked_for: Any = {} if protocol is None else {"protocol": protocol}
    peer: Any = redis.asyncio.Redis(
        host=host, port=port, db=DATABASE, single_connection_client=True, **settings, **asked_for
    )
    async with peer as theirs:
        await theirs.flushall()
        expected = [await outcome(theirs, case) for case in CASES]
        expected_kinds = [kind(await outcome(theirs, case)) for case in VARYING]
    client: Any = Redis(connect((host, port)), db=DATABASE, protocol=protocol, **settings)
    async with client as ours:
        await ours.flushall()
        found = [await outcome(ours, case) for case in CASES]
        found_kinds = [kind(await outcome(ours, case)) for case in VARYING]
    different = [
        f"{inspect.getsource(case).strip()} gave {got!r}, not {wanted!r}"
        for case, wanted, got in zip(CASES, expected, found, strict=True)
        if exact(got, ordered=case not in UNORDERED) != exact(wanted, ordered=case not in UNORDERED)
    ]
    assert not different
    assert found_kinds == expected_kinds


def test_that_is_a_fair_part_of_all_commands() -> None:
    assert len(CASES) >= 300
