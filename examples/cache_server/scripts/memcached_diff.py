"""Sends the same bytes to memcached and to larder-server, and shows where their answers differ.

usage: memcached_diff.py MEMCACHED_PORT LARDER_PORT

Both must be empty and on this machine. What is known to differ (README, memcached) is not sent: control characters in keys, `l` and `h` of
mg, the version, statistics. CAS values are compared by whether they are the same as the one before.
"""
import random
import re
import socket
import sys

LONG = "k" * 251
CASES = """
set a 4294967296 0 1|x|get a|~set a 4294967295 0 1|x|get a|~set a 0 0 3|abcdef|get a|~set a -1 0 1|x|~set a 0 x 1|x|
get|~get |~get  a|~ get a|~foo||~|~set a 0 0 -1|~set a 0 0 1 noreply|xyz|~set a 0 0 1 nonsense|x|~set a 0 0 1 2 3 4|x|~set a 0 0|
mg a|mg a s v t f k O1|mg a s t0|~mg a s s|~mg|~mg |~mg nope k O12 q|mn|~mg nope k O12|~mg nope O12 k b|~mg bm9wZQ== k b|
ms a S1 T0|~ms a 1 T0 k O9 s f F7 t|x|mg a f t|~ms a 1 k O9 T5|x|mg a f t|~ms a x|~ms a -1|~ms a 1|xyz|~ms a 1 MZ|x|~ms a 1 M|x|
ms a 1 q|x|mn|~ms a 1 ME q O1 k|x|~ms a|~ms|~set a 0 0 1|x|md a k O5|md a k O5|md a q|~set a 0 0 1|x|md a k O5 q|mn|~md zz v|
ma n9 N0 J5 v|ma n9 t v k O1|ma n9 MD D99 v|ma n9 MX|~ma n9 M|ma n9 Mincr v|ma n9 MI v|ma n9 M- v|ma n9 M+ v|ma n9 MD v|ma n9 Md|ma n9 q|ma n9 q v|mn|
ma zz|ma zz q|ma n9 D-1|ma n9 J-1|ma n9 Dx|ma n9 C1|ma n9 C1 q|~ms txt 1|x|ma txt|~me a|me zz|me|me n9 b|
set n 0 0 2|10|incr n x|incr n -1|incr n|incr zz 1|decr n 1|get n|incr n 1|get n|incr n 90|get n|decr n 1000|get n|incr n 18446744073709551615|incr n 1|
incr n 18446744073709551616|get n|incr n 1 noreply|incr n 1 foo|~touch a|touch a 0|touch zz 0|touch a x|touch a 0 noreply|touch n -1|get n|
gat|gat 0|gat 0 a|gat x a|gat x|~flush_all x|~flush_all -5|~flush_all 0|~flush_all noreply|~flush_all 0 noreply|~flush_all 0 0 0|
verbosity|verbosity 1|verbosity x|verbosity 1 noreply|mn|~cas a 0 0 1|~cas a 0 0 1 5|x|~set a 0 0 1|x|cas a 0 0 1 5|x|~cas a 0 0 1 x|x|
append zz 0 0 1|x|append a 0 0 1|x|prepend a 5 0 1|y|get a|~delete a 5|delete a 0|set a 0 0 1|x|delete a noreply|delete|delete a 0 noreply|delete a x|
get LONG|~get a LONG|~set LONG 0 0 1|x|~mg LONG|~ms LONG 1|x|~delete LONG|~incr LONG 1|~touch LONG 1|~md LONG|~ma LONG|~me LONG|
mg !!! b|~ms !!! 1 b|x|~ms Zm9v 3 b|abc|mg foo k v|mg Zm9v b k v|mg Zm9v k b O1 v t|get foo|~mg foo O|
ms w 1|x|md w I T30|mg w v t|mg w v t|mg w|~mg viv N30 v t|mg viv N30 v t|ms viv 1|x|mg viv N30 v t|
ms rc 1 T20|x|mg rc R10 v|mg rc R30 v|mg rc R30 v|mg rc v|mg rc R30 T90 t|mg rc t T60|mg rc t|
ms vv 1 MA|x|mg vv v|ms vv 1 MP|z|ms vv 1|b|ms vv 1 MA|c|ms vv 1 MP|a|mg vv v|ms vv 1 MR|r|mg vv v|ms nn 1 MR|r|ms vv 1 Ma|a|ms vv 1 MAPPEND|x|mn|
ms cc 1|x|ms cc 1 C99999 q|y|ms ccn 1 C1|y|md cc C99|md cc C99 q|md ccn C1|~mg a |mg a  v|mg a vv|mg a T|mg a Tx|mg a N R|mg a S1|mg a q v|mg a u v|mg a x v|mg a P L v|mn|
ms a 1 INVALID|x|~ms a 1 F-1|x|ms a 1 F4294967296|x|~ms a 1 T-1|x|mg a|~set a 0 -1 1|x|get a|set a 0 2592001 1|x|get a|set a 0 2592000 1|x|mg a t|
set a 0 1.5 1|x|~add a 0 0 1|x|add a 0 0 1|x|replace nnn 0 0 1|x|replace a 0 0 1|y|~set s 0 0 3| 12|incr s 1|set s 0 0 3|-12|incr s 1|set s 0 0 0||incr s 1|
set s 0 0 21|000000000000000000012|incr s 1|get s|~set s 0 0 4|12ab|incr s 1|set s 0 0 4|12 b|incr s 1|get s|set s 0 0 2|+5|incr s 1|~gets nope|~GET a|
ma n9 T30 t|ma nz N30 J7 t v|ma nz D5 v|ma nz k O3 b|~ma n9 N|ma n9 T|~ms e 0 T0||mg e v|~ms i 1 I|x|mg i v|md i I q|mg i t|mg i|md nope I|~md a x|
set a 0 0 2147483646|~quit|~mg q q v|mg q q k v|mn|~ms st 1|x|md st I|set st 0 0 1|y|mg st v|~ms st 1|x|md st I|get st|touch st 50|mg st t|mg st|
"""


def ask(port, data):
    """What a new connection answers until it says nothing for a moment, or has answered the mn at the end."""
    ends = data.endswith(b"mn\r\n")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(data)
        connection.settimeout(2 if ends else 0.15)
        answer = b""
        try:
            while piece := connection.recv(1 << 16):
                answer += piece
                if ends and answer.endswith(b"MN\r\n"):
                    return answer
            answer += b"<closed>"
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def made_up(rng):
    """A few commands of words that fit, more or less."""
    key = lambda: rng.choice(["a", "b", "Zm9v", "n"])
    flags = lambda some: " ".join(rng.sample(some, rng.randint(0, 4)))
    value = lambda: rng.choice(["x", "10", "", "abc", "18446744073709551615"])
    lines = []
    for _ in range(rng.randint(1, 6)):
        data = value()
        lines.append(rng.choice([
            lambda: f"{rng.choice(['set', 'add', 'replace', 'append', 'prepend'])} {key()} {rng.randint(0, 9)} 0 {len(data)}\r\n{data}",
            lambda: f"get {key()} {key()}",
            lambda: f"{rng.choice(['incr', 'decr'])} {key()} {rng.choice([0, 1, 7, 18446744073709551615])}",
            lambda: f"delete {key()}", lambda: f"touch {key()} {rng.choice([0, 50, -1])}", lambda: f"gat {rng.choice([0, 60])} {key()}",
            lambda: f"mg {key()} {flags(['v', 't', 's', 'f', 'k', 'O7', 'q', 'b', 'T70', 'N80', 'R90'])}",
            lambda: f"ms {key()} {len(data)} {flags(['T70', 'F3', 'k', 'O7', 'q', 'b', 'ME', 'I', 'S', 'MA'])}\r\n{data}",
            lambda: f"md {key()} {flags(['k', 'O7', 'q', 'I', 'T60', 'b'])}",
            lambda: f"ma {key()} {flags(['v', 't', 'k', 'N80', 'J5', 'D2', 'MD', 'q', 'T70', 'b'])}",
        ])())
    return ("\r\n".join(lines) + "\r\nmn\r\n").encode()


def main():
    theirs, ours = int(sys.argv[1]), int(sys.argv[2])
    cases = [case for line in CASES.strip().split("\n") for case in line.split("~")]
    data = [case.replace("LONG", LONG).replace("|", "\r\n").encode() for case in cases]
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    data += [made_up(rng) for _ in range(1500)]
    differ = 0
    for case in data:
        wanted, got = (re.sub(rb" cas=\d+ .*", b"", ask(port, case)) for port in (theirs, ours))
        if wanted != got:
            differ += 1
            print(f"{case[:300]!r}\n  memcached {wanted[:400]!r}\n  larder    {got[:400]!r}")
    print(f"{len(data)} cases, {differ} differ")
    sys.exit(differ != 0)


main()
