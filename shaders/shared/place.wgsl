// The index of a load, and whether the value counts. If not, zero replaces it.
struct Place {
    at: u32,
    counts: bool,
}

fn place_of(at: u32, counts: bool) -> Place {
    return Place(select(0u, at, counts), counts);
}
