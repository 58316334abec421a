"""A tree of relaxations whose leaves prove a bound in integers: branch and bound with a certificate."""
