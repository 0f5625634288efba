// Where something is loaded from, and whether it counts; if not, zero is to be taken for what is loaded.
struct Place {
    at: u32,
    counts: bool,
}

fn place_of(at: u32, counts: bool) -> Place {
    return Place(select(0u, at, counts), counts);
}
