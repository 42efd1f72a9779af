/* The read-modify-write counter of tests/spec/counter.py for Spin: N processes, K rounds, an update may be lost. */
#define N 4
#define K 3
byte x = 0;
byte t[N];
byte r[N];
bit busy[N];

active proctype counter() {
  do
  :: atomic { !busy[0] && r[0] < K -> t[0] = x; busy[0] = 1 }
  :: atomic { !busy[1] && r[1] < K -> t[1] = x; busy[1] = 1 }
  :: atomic { !busy[2] && r[2] < K -> t[2] = x; busy[2] = 1 }
  :: atomic { !busy[3] && r[3] < K -> t[3] = x; busy[3] = 1 }
  :: atomic { busy[0] -> x = t[0] + 1; r[0]++; busy[0] = 0; assert(x <= N * K) }
  :: atomic { busy[1] -> x = t[1] + 1; r[1]++; busy[1] = 0; assert(x <= N * K) }
  :: atomic { busy[2] -> x = t[2] + 1; r[2]++; busy[2] = 0; assert(x <= N * K) }
  :: atomic { busy[3] -> x = t[3] + 1; r[3]++; busy[3] = 0; assert(x <= N * K) }
  od
}
