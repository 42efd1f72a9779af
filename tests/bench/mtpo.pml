/* MTPO of spec/mtpo for Spin, written by hand: 2 agents with 1 call each on O objects, without faults; every footprint,
   with and without inverses, both policies. Call 0 is the origin, call c that of agent c - 1. What aborts, retractions
   and changes from outside need is left out. One state, the first, has no footprints yet: the spec has one less.
   To be made with `spin -a -o2`: where Spin eliminates variables that it takes for dead, it loses states. */
#ifndef O
#define O 1
#endif
#define C 3
#define AT(c, o) ((c) * O + (o))
#if O == 1
#define EACH(f, c) f(c, 0)
#else
#define EACH(f, c) (f(c, 0) && f(c, 1))
#endif

bit replay;
bit reads[C * O], writes[C * O], invertible[C];
bit launched[2], finished[2], committed[2];
bit issued[C], live[C], pending[C], withdrawn[C], voided[C], sighted[C], note[C], member[C], opened[C], landed[C];
byte top[O], base[C * O], source[C * O];
bit value[C * O], saw[C * O];
byte holder[O];
hidden byte o, p, below, out0, out1, old;
hidden byte told;

#define QUIET(a) (!note[(a) + 1])
#define OUT(o) ((o) == 0 -> out0 : out1)
#define CONFLICT(c, o) ((writes[AT(c, o)] && (reads[AT(2, o)] || writes[AT(2, o)])) || (reads[AT(c, o)] && writes[AT(2, o)]))
#define APART(c, o) (!CONFLICT(c, o))
#define ON_TOP(c, o) (!writes[AT(c, o)] || top[o] == c)
#define WRITES_NOT(c, o) (!writes[AT(c, o)])
#define IS_NEXT(c) (!issued[c] && launched[(c) - 1] && !finished[(c) - 1] && QUIET((c) - 1))
#define TOUCHES(c, o) (reads[AT(c, o)] || writes[AT(c, o)])
#define FREE(c, o) (!holder[o] || !TOUCHES(c, o))
#define SETTLED(c, o) (!holder[o] || holder[o] >= c || !TOUCHES(c, o))
#define GATE(c) (invertible[c] || c == 1 || committed[0])
#define ITS_TURN(c) (opened[c] && !landed[c] && (c == 2 || !(member[2] && live[2])))
#define MATERIALIZED (live[top[0]] && writes[AT(top[0], 0)] && !(live[2] && writes[AT(2, 0)] && top[0] < 2))

/* c takes effect on top of all it writes */
inline push(c) {
  live[c] = 1;
  for (o : 0 .. O - 1) {
    if :: reads[AT(c, o)] -> saw[AT(c, o)] = value[AT(top[o], o)] :: else fi;
    for (p : 0 .. C - 1) {
      if
      :: p == c && reads[AT(c, o)] -> source[AT(c, o)] = top[o]
      :: else ->
        if :: sighted[p] && writes[AT(c, o)] && source[AT(p, o)] < c && c < p -> source[AT(p, o)] = c :: else fi
      fi
    }
    if :: writes[AT(c, o)] -> base[AT(c, o)] = top[o]; value[AT(c, o)] = OUT(o); top[o] = c :: else fi
  }
}

inline applied(c, x, y) {
  d_step { out0 = x; out1 = y; push(c); sighted[c] = 1; landed[c] = 1; assert(MATERIALIZED) }
}

inline redone(w, x, y) {
  d_step {
    out0 = x; out1 = y; told = 0;
    for (o : 0 .. O - 1) {
      if :: writes[AT(w, o)] && OUT(o) != value[AT(w, o)] -> told = 1 :: else fi;
      if :: reads[AT(w, o)] && value[AT(top[o], o)] != saw[AT(w, o)] -> told = 1 :: else fi
    }
    push(w); pending[w] = 0; note[w] = note[w] | told; assert(MATERIALIZED)
  }
}

inline undone(w) {
  d_step {
    live[w] = 0; pending[w] = 1;
    for (o : 0 .. O - 1) {
      if
      :: writes[AT(w, o)] ->
        top[o] = base[AT(w, o)];
        for (p : 0 .. C - 1) { if :: source[AT(p, o)] == w -> source[AT(p, o)] = base[AT(w, o)] :: else fi }
      :: else
      fi
    }
    assert(MATERIALIZED)
  }
}

inline read(c) {
  d_step {
    issued[c] = 1; sighted[c] = 1;
    for (o : 0 .. O - 1) {
      below = (c == 2 && live[1] && writes[AT(1, o)] -> 1 : 0);
      if :: reads[AT(c, o)] -> source[AT(c, o)] = below; saw[AT(c, o)] = value[AT(below, o)] :: else fi
    }
    below = 0
  }
}

inline failed(c) {
  d_step {
    withdrawn[c] = 1; voided[c] = 1; sighted[c] = 1; landed[c] = 1;
    for (o : 0 .. O - 1) {
      if :: reads[AT(c, o)] -> source[AT(c, o)] = top[o]; saw[AT(c, o)] = value[AT(top[o], o)] :: else fi
    }
    below = 0
  }
}

inline deliver(c) {
  d_step {
    for (o : 0 .. O - 1) { if :: sighted[c] -> saw[AT(c, o)] = value[AT(source[AT(c, o)], o)] :: else fi }
    if :: note[c] -> voided[c] = 0 :: else fi;
    note[c] = 0
  }
}

/* the repair of c opens; it undoes call 2 too or not, and locks what it and that touch */
inline begin(c, two) {
  d_step {
    for (o : 0 .. O - 1) { if :: TOUCHES(c, o) || (two && TOUCHES(2, o)) -> holder[o] = c :: else fi }
    issued[c] = 1; opened[c] = 1; member[2] = member[2] | two
  }
}

inline settle(c) {
  d_step {
    for (p : 0 .. C - 1) {
      for (o : 0 .. O - 1) {
        if
        :: holder[o] == c && sighted[p] && reads[AT(p, o)] && saw[AT(p, o)] != value[AT(source[AT(p, o)], o)] -> note[p] = 1
        :: else
        fi
      }
    }
    for (o : 0 .. O - 1) { if :: holder[o] == c -> holder[o] = 0 :: else fi }
    if :: c == 1 -> member[2] = 0 :: else fi;
    opened[c] = 0; landed[c] = 0
  }
}

/* a footprint of a call, whatever it is; then a call without one reads, one that only reads has an inverse, and of two
   choices that differ by a renaming of objects the lesser is taken */
inline some(x) { if :: x = 0 :: x = 1 fi }

inline swap(x, y) { old = x; x = y; y = old }

#define LAST (O - 1)
#define KIND(c) (reads[AT(c, 0)] * 16 + reads[AT(c, LAST)] * 8 + writes[AT(c, 0)] * 4 + writes[AT(c, LAST)] * 2)
#define OTHER(c) (reads[AT(c, LAST)] * 16 + reads[AT(c, 0)] * 8 + writes[AT(c, LAST)] * 4 + writes[AT(c, 0)] * 2)

inline choose(c) {
  some(reads[AT(c, 0)]); some(reads[AT(c, LAST)]); some(writes[AT(c, 0)]); some(writes[AT(c, LAST)]); some(invertible[c]);
  if :: KIND(c) == 0 -> reads[AT(c, LAST)] = 1 :: else fi;
  if :: EACH(WRITES_NOT, c) -> invertible[c] = 1 :: else fi
}

active proctype protocol() {
  atomic {
    choose(1); choose(2); some(replay);
    d_step {
      if
      :: OTHER(1) < KIND(1) || (OTHER(1) == KIND(1) && OTHER(2) < KIND(2)) ->
        swap(reads[AT(1, 0)], reads[AT(1, LAST)]); swap(writes[AT(1, 0)], writes[AT(1, LAST)]);
        swap(reads[AT(2, 0)], reads[AT(2, LAST)]); swap(writes[AT(2, 0)], writes[AT(2, LAST)])
      :: else
      fi;
      for (o : 0 .. O - 1) { writes[AT(0, o)] = 1 }
      invertible[0] = 1; issued[0] = 1; live[0] = 1
    }
  }
  do
  :: atomic { !launched[0] -> launched[0] = 1 }
  :: atomic { launched[0] && !launched[1] -> launched[1] = 1 }
  :: atomic { launched[0] && !finished[0] && QUIET(0) && !opened[1] -> finished[0] = 1 }
  :: atomic { launched[1] && !finished[1] && QUIET(1) && !opened[2] -> finished[1] = 1 }
  :: atomic { finished[0] && !QUIET(0) -> finished[0] = 0 }
  :: atomic { finished[1] && !QUIET(1) -> finished[1] = 0 }
  :: atomic { !finished[0] && !QUIET(0) && EACH(SETTLED, 1) -> deliver(1) }
  :: atomic { !finished[1] && !QUIET(1) && EACH(SETTLED, 2) -> deliver(2) }
  :: atomic { finished[0] && !committed[0] && QUIET(0) && !opened[1] && !pending[1] -> committed[0] = 1 }
  :: atomic { finished[1] && !committed[1] && QUIET(1) && !opened[2] && !pending[2] && committed[0] -> committed[1] = 1 }
  :: atomic { IS_NEXT(1) && EACH(WRITES_NOT, 1) && EACH(SETTLED, 1) -> read(1) }
  :: atomic { IS_NEXT(2) && EACH(WRITES_NOT, 2) && EACH(SETTLED, 2) -> read(2) }
  :: atomic { IS_NEXT(1) && GATE(1) && (!live[2] || EACH(APART, 1)) && EACH(FREE, 1) -> begin(1, 0) }
  :: atomic { IS_NEXT(1) && GATE(1) && live[2] && !opened[2] && EACH(FREE, 1) && EACH(FREE, 2) -> begin(1, 1) }
  :: atomic { IS_NEXT(2) && GATE(2) && EACH(FREE, 2) -> begin(2, 0) }
  :: atomic { !landed[1] && member[2] && live[2] && EACH(ON_TOP, 2) -> undone(2) }
  :: atomic { ITS_TURN(1) -> applied(1, 0, 0) }
  :: atomic { ITS_TURN(1) -> applied(1, 1, 0) }
  :: atomic { ITS_TURN(2) -> applied(2, 0, 0) }
  :: atomic { ITS_TURN(2) -> applied(2, 1, 0) }
#if O == 2
  :: atomic { ITS_TURN(1) -> applied(1, 0, 1) }
  :: atomic { ITS_TURN(1) -> applied(1, 1, 1) }
  :: atomic { ITS_TURN(2) -> applied(2, 0, 1) }
  :: atomic { ITS_TURN(2) -> applied(2, 1, 1) }
  :: atomic { landed[1] && replay && pending[2] -> redone(2, 0, 1) }
  :: atomic { landed[1] && replay && pending[2] -> redone(2, 1, 1) }
#endif
  :: atomic { ITS_TURN(1) -> failed(1) }
  :: atomic { ITS_TURN(2) -> failed(2) }
  :: atomic { landed[1] && replay && pending[2] -> redone(2, 0, 0) }
  :: atomic { landed[1] && replay && pending[2] -> redone(2, 1, 0) }
  :: atomic { landed[1] && !replay && pending[2] -> pending[2] = 0; withdrawn[2] = 1; note[2] = 1 }
  :: atomic { landed[1] && pending[2] -> pending[2] = 0; withdrawn[2] = 1; note[2] = 1 }
  :: atomic { landed[1] && !pending[2] -> settle(1) }
  :: atomic { landed[2] -> settle(2) }
  od
}
