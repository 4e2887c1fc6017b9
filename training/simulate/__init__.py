"""A world to practise in: a graded corpus replayed as traffic, of which only the drawn lane's grade is seen."""
