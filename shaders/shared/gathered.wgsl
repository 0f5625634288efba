// Reads the rows of a training step's batch in place: examples of the whole epoch, found through its order. A row past the end of the last
// batch is IGNORE; it reads the first example, and its results do not count.
@group(0) @binding(8) var<storage, read> order: array<u32>;  // rows of all steps, padded with IGNORE
// Steps since the start, steps of this epoch. The loss advances them (ADVANCES_CURSOR); later dispatches of the step read the advanced
// values (CURSOR_ADVANCED).
//#if ADVANCES_CURSOR
@group(0) @binding(9) var<storage, read_write> cursor: array<u32>;
//#else
@group(0) @binding(9) var<storage, read> cursor: array<u32>;
//#endif

const IGNORE: u32 = 0xffffffffu;

// The place in the order of row `row` of this step, of `rows` a step.
fn place_of(row: u32, rows: u32) -> u32 {
//#if CURSOR_ADVANCED
    return (cursor[1] - 1u) * rows + row;
//#else
    return cursor[1] * rows + row;
//#endif
}

fn example_of(row: u32, rows: u32) -> u32 {
    let example = order[place_of(row, rows)];
    return select(example, 0u, example == IGNORE);
}
