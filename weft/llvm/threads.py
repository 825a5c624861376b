"""How several threads run one function of machine code together, as text of LLVM IR: phases, barriers, a team that waits.

A network function is `void f(ptr arena, ptr constants, ptr io, i64 thread, i64 threads, ptr block)`; the threads of a team
call it, each with its own number, always as many. Its work comes in phases, each in a slice for every thread. Who begins a
slice claims it first, and who has finished its own takes those that nobody has begun: so a thread that the system lets wait
holds up nobody, unless in the midst of a slice. A phase is over when all of its slices are done.

In a strict block (as of zeros) the function ends with a barrier that all threads must reach. In a loose one, which the team
here uses, threads may come late or not at all, and the team waits only for those that came.

    block, BARRIER_BYTES, zeros at first              team, TEAM_BYTES, zeros at first
      0    i32 threads that have arrived                0    i32 jobs posted so far
      64   i32 barriers passed so far                   64   i32 workers that sleep
      128  ptr to times, or null; 136  i32 loose        128  i32 whether the team ends
      192  i32 slices done so far                       192  the job: ptr function, arena, constants, io, block; i64 threads
      256  i32 phases before this run                   256  i32 workers in the job's function
      320  for each thread, 64 bytes apart, i32 last    320  i32 the last job that is over
           phase whose slice for it was claimed

Words that one thread waits for stand in cache lines of their own. Counts wrap, and are compared by their difference.
"""

MOST_THREADS = 256
TIMES, LOOSE, DONE, BASE, CLAIMS = 128, 136, 192, 256, 320
BARRIER_BYTES = CLAIMS + 64 * MOST_THREADS
JOB, INSIDE, OVER, TEAM_BYTES = 192, 256, 320, 384
YIELD_AFTER = 4000  # turns of a barrier's wait, some 50 µs, after which a thread lets others on its core run
SLEEP_AFTER = 20000  # turns of waiting for a job, some 200 µs, after which a worker sleeps
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "armv7": 240, "arm": 240}  # numbers of the system call, Linux
_PAUSE = {  # what to declare, and to call: a hint to the core that it waits
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
    **dict.fromkeys(("armv7", "arm"), ("declare void @llvm.arm.hint(i32)", "call void @llvm.arm.hint(i32 1)")),
}
_NO_PAUSE = "", ""


def architecture(triple: str) -> str:
    """The first part of a target triple, as 'x86_64'."""
    return triple.split("-")[0]


def barrier(triple: str) -> str:
    """Functions for network functions. They need the C library's sched_yield.

    `@phase(ptr block, ptr work, ptr arena, ptr constants, ptr io, i64 thread, i64 threads, i32 number)`: has the slices of a
        phase done by `void work(ptr arena, ptr constants, ptr io, i64 slice, i64 slices)`. number: from 1.
    `@finish(ptr block, i64 threads)`: the end of a run.
    `@barrier(ptr block, i64 threads)`: returns when all threads have called it.
    `@tick(ptr block, i64 thread, i64 index)`: thread 0 notes the cycle counter as times[index], if there are times.
    """
    declaration, pause = _PAUSE.get(architecture(triple), _NO_PAUSE)
    counter = "call i64 @llvm.readcyclecounter()" if architecture(triple) == "x86_64" else "add i64 0, 0"  # others trap
    return f"""
{declaration}
declare i32 @sched_yield()
declare i64 @llvm.readcyclecounter()

define internal void @barrier(ptr %block, i64 %threads) noinline {{
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %done, label %arrive
arrive:
  %passed = getelementptr i8, ptr %block, i64 64
  %seen = load atomic i32, ptr %passed monotonic, align 4
  %before = atomicrmw add ptr %block, i32 1 acq_rel
  %count = trunc i64 %threads to i32
  %others = sub i32 %count, 1
  %last = icmp eq i32 %before, %others
  br i1 %last, label %open, label %wait
open:
  %first = getelementptr i8, ptr %block, i64 {CLAIMS}
  %claimed = load atomic i32, ptr %first monotonic, align 4
  %base = getelementptr i8, ptr %block, i64 {BASE}
  store atomic i32 %claimed, ptr %base monotonic, align 4
  store atomic i32 0, ptr %block monotonic, align 4
  %next = add i32 %seen, 1
  store atomic i32 %next, ptr %passed release, align 4
  br label %done
wait:
  %turn = phi i32 [ 0, %arrive ], [ %turns, %again ]
  %now = load atomic i32, ptr %passed acquire, align 4
  %released = icmp ne i32 %now, %seen
  br i1 %released, label %done, label %hold
hold:
  %long = icmp sgt i32 %turn, {YIELD_AFTER}
  br i1 %long, label %yield, label %pause
yield:
  %ignored = call i32 @sched_yield()
  br label %again
pause:
  {pause}
  br label %again
again:
  %turns = add i32 %turn, 1
  br label %wait
done:
  ret void
}}

define internal void @finish(ptr %block, i64 %threads) noinline {{
  %place = getelementptr i8, ptr %block, i64 {LOOSE}
  %loose = load i32, ptr %place
  %strict = icmp eq i32 %loose, 0
  br i1 %strict, label %wait, label %done
wait:
  call void @barrier(ptr %block, i64 %threads)
  br label %done
done:
  ret void
}}

define internal void @phase(ptr %block, ptr %work, ptr %arena, ptr %constants, ptr %io, i64 %thread, i64 %threads,
                            i32 %number) noinline {{
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %whole, label %start
whole:
  call void %work(ptr %arena, ptr %constants, ptr %io, i64 0, i64 1)
  ret void
start:
  %base = getelementptr i8, ptr %block, i64 {BASE}
  %before = load atomic i32, ptr %base monotonic, align 4
  %epoch = add i32 %before, %number
  %done = getelementptr i8, ptr %block, i64 {DONE}
  %claims = getelementptr i8, ptr %block, i64 {CLAIMS}
  br label %slice
slice:
  %j = phi i64 [ 0, %start ], [ %j1, %next ]
  %sum = add i64 %thread, %j
  %around = sub i64 %sum, %threads
  %within = icmp ult i64 %sum, %threads
  %k = select i1 %within, i64 %sum, i64 %around
  %at = shl i64 %k, 6
  %claim = getelementptr i8, ptr %claims, i64 %at
  %have = load atomic i32, ptr %claim acquire, align 4
  %ahead = sub i32 %have, %epoch
  %free = icmp slt i32 %ahead, 0
  br i1 %free, label %try, label %next
try:
  %pair = cmpxchg ptr %claim, i32 %have, i32 %epoch acq_rel monotonic
  %mine = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %mine, label %do, label %next
do:
  call void %work(ptr %arena, ptr %constants, ptr %io, i64 %k, i64 %threads)
  %d0 = atomicrmw add ptr %done, i32 1 acq_rel
  br label %next
next:
  %j1 = add i64 %j, 1
  %more = icmp ult i64 %j1, %threads
  br i1 %more, label %slice, label %target
target:
  %count = trunc i64 %threads to i32
  %all = mul i32 %epoch, %count
  br label %wait
wait:
  %turn = phi i32 [ 0, %target ], [ %turns, %again ]
  %now = load atomic i32, ptr %done acquire, align 4
  %left = sub i32 %now, %all
  %over = icmp sge i32 %left, 0
  br i1 %over, label %end, label %hold
hold:
  %long = icmp sgt i32 %turn, {YIELD_AFTER}
  br i1 %long, label %yield, label %pause
yield:
  %ignored = call i32 @sched_yield()
  br label %again
pause:
  {pause}
  br label %again
again:
  %turns = add i32 %turn, 1
  br label %wait
end:
  ret void
}}

define internal void @tick(ptr %block, i64 %thread, i64 %index) noinline {{
  %first = icmp eq i64 %thread, 0
  br i1 %first, label %look, label %done
look:
  %place = getelementptr i8, ptr %block, i64 {TIMES}
  %times = load ptr, ptr %place
  %none = icmp eq ptr %times, null
  br i1 %none, label %done, label %note
note:
  %now = {counter}
  %here = getelementptr i64, ptr %times, i64 %index
  store i64 %now, ptr %here
  br label %done
done:
  ret void
}}
"""


def team(triple: str) -> str:
    """A module with `work(ptr team, i64 thread)`, which a worker runs until the team ends, and `post(ptr team, i32 end)`,
    which offers the workers the job that stands in the team's block, does thread 0's part and returns when all that came
    have left its function; with end 1 it has the workers return. Linux only: workers that wait for long sleep on a futex.
    """
    machine = architecture(triple)
    declaration, pause = _PAUSE.get(machine, _NO_PAUSE)
    call = _CALL.format(job=JOB)
    return f"""
{declaration}
declare i32 @sched_yield()
declare i64 @syscall(i64, ptr, i64, i64, ptr)

define void @work(ptr %team, i64 %thread) {{
start:
  %asleep = getelementptr i8, ptr %team, i64 64
  %end = getelementptr i8, ptr %team, i64 128
  br label %wait
wait:
  %seen = phi i32 [ 0, %start ], [ %seen, %again ], [ %now, %did ]
  %turn = phi i32 [ 0, %start ], [ %turns, %again ], [ 0, %did ]
  %now = load atomic i32, ptr %team acquire, align 4
  %posted = icmp ne i32 %now, %seen
  br i1 %posted, label %look, label %hold
hold:
  %long = icmp sgt i32 %turn, {SLEEP_AFTER}
  br i1 %long, label %sleep, label %pause
sleep:
  %s0 = atomicrmw add ptr %asleep, i32 1 seq_cst
  %value = zext i32 %seen to i64
  %r0 = call i64 @syscall(i64 {FUTEX[machine]}, ptr %team, i64 128, i64 %value, ptr null)
  %s1 = atomicrmw sub ptr %asleep, i32 1 seq_cst
  br label %again
pause:
  {pause}
  br label %again
again:
  %turns = add i32 %turn, 1
  br label %wait
look:
  %ends = load atomic i32, ptr %end acquire, align 4
  %over = icmp ne i32 %ends, 0
  br i1 %over, label %leave, label %do
do:
  %inside = getelementptr i8, ptr %team, i64 {INSIDE}
  %i0 = atomicrmw add ptr %inside, i32 1 seq_cst
  %place = getelementptr i8, ptr %team, i64 {OVER}
  %last = load atomic i32, ptr %place seq_cst, align 4
  %late = icmp eq i32 %last, %now
  br i1 %late, label %did, label %come
come:
{call}
  br label %did
did:
  %i1 = atomicrmw sub ptr %inside, i32 1 seq_cst
  br label %wait
leave:
  ret void
}}

define void @post(ptr %team, i32 %ends) {{
  %end = getelementptr i8, ptr %team, i64 128
  store atomic i32 %ends, ptr %end release, align 4
  %before = atomicrmw add ptr %team, i32 1 seq_cst
  %asleep = getelementptr i8, ptr %team, i64 64
  %sleepers = load atomic i32, ptr %asleep seq_cst, align 4
  %any = icmp ne i32 %sleepers, 0
  br i1 %any, label %wake, label %mine
wake:
  %r1 = call i64 @syscall(i64 {FUTEX[machine]}, ptr %team, i64 129, i64 2147483647, ptr null)
  br label %mine
mine:
  %over = icmp ne i32 %ends, 0
  br i1 %over, label %leave, label %do
do:
  %thread = add i64 0, 0
{call}
  %place = getelementptr i8, ptr %team, i64 {OVER}
  %job = add i32 %before, 1
  store atomic i32 %job, ptr %place seq_cst, align 4
  %inside = getelementptr i8, ptr %team, i64 {INSIDE}
  br label %wait
wait:
  %turn = phi i32 [ 0, %do ], [ %turns, %again ]
  %within = load atomic i32, ptr %inside seq_cst, align 4
  %none = icmp eq i32 %within, 0
  br i1 %none, label %latch, label %hold
latch:
  %first = getelementptr i8, ptr %barrier, i64 {CLAIMS}
  %claimed = load atomic i32, ptr %first monotonic, align 4
  %base = getelementptr i8, ptr %barrier, i64 {BASE}
  store atomic i32 %claimed, ptr %base monotonic, align 4
  br label %leave
hold:
  %long = icmp sgt i32 %turn, {YIELD_AFTER}
  br i1 %long, label %yield, label %pause
yield:
  %ignored = call i32 @sched_yield()
  br label %again
pause:
  {pause}
  br label %again
again:
  %turns = add i32 %turn, 1
  br label %wait
leave:
  ret void
}}
"""


_CALL = """  %at0 = getelementptr i8, ptr %team, i64 {job}
  %function = load ptr, ptr %at0
  %at1 = getelementptr ptr, ptr %at0, i64 1
  %arena = load ptr, ptr %at1
  %at2 = getelementptr ptr, ptr %at0, i64 2
  %constants = load ptr, ptr %at2
  %at3 = getelementptr ptr, ptr %at0, i64 3
  %io = load ptr, ptr %at3
  %at4 = getelementptr ptr, ptr %at0, i64 4
  %barrier = load ptr, ptr %at4
  %at5 = getelementptr ptr, ptr %at0, i64 5
  %threads = load i64, ptr %at5
  call void %function(ptr %arena, ptr %constants, ptr %io, i64 %thread, i64 %threads, ptr %barrier)"""
