package store

// Column reads the first column of every row that a query finds.
func Column[T ~string | ~int64](t *Tx, q string, args ...any) ([]T, error) {
	rows, err := t.Rows(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
