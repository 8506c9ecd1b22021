/** Whether something matches; `unknown`: what was captured of the packet does not tell. */
export type Truth = 'yes' | 'no' | 'unknown';

export function not(truth: Truth): Truth {
  if (truth === 'unknown') return 'unknown';
  return truth === 'yes' ? 'no' : 'yes';
}

/** Looks no further than the first `no`. */
export function every<Item>(items: Iterable<Item>, test: (item: Item) => Truth): Truth {
  let result: Truth = 'yes';
  for (const item of items) {
    const truth = test(item);
    if (truth === 'no') return 'no';
    if (truth === 'unknown') result = 'unknown';
  }
  return result;
}

/** Looks no further than the first `yes`. */
export function some<Item>(items: Iterable<Item>, test: (item: Item) => Truth): Truth {
  return not(every(items, (item) => not(test(item))));
}
