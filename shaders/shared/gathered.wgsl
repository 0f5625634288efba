// The rows of a training step's batch where they lie: examples of the whole epoch, found by its order. A row past the end of the
// order's last batch is IGNORE; it is given the first example, and nothing that it makes counts.
@group(0) @binding(8) var<storage, read> order: array<u32>;  // rows of all steps, padded with IGNORE
// Steps since the start, steps of this epoch; the loss advances them (ADVANCES_CURSOR), and what comes after it finds
// them so (CURSOR_ADVANCED).
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
