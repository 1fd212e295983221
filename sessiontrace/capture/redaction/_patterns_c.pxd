cpdef bint may_contain_secret(text) noexcept
