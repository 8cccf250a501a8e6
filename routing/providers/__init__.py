"""Everything that knows a vendor. `table` has the rows; the rest are the dialects that the rows name."""
