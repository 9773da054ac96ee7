# One interface target, logtrain_flags, that every target of ours links: warnings, hardening, sanitizers.
include(CheckCCompilerFlag)

add_library(logtrain_flags INTERFACE)
target_compile_definitions(logtrain_flags INTERFACE _GNU_SOURCE LOGTRAIN_VERSION="${PROJECT_VERSION}")
if(LOGTRAIN_FAULTS)
    target_compile_definitions(logtrain_flags INTERFACE LOGTRAIN_FAULTS)
endif()
target_compile_options(logtrain_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
    -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion
    -Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion
    -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
    -include ${CMAKE_SOURCE_DIR}/src/base/banned.h)
if(LOGTRAIN_WERROR)
    target_compile_options(logtrain_flags INTERFACE -Werror)
endif()

# Flags that not every supported compiler knows. clang takes some that it then only warns about.
set(CMAKE_REQUIRED_FLAGS -Werror)
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
             -mbranch-protection=standard -fstrict-flex-arrays=3 -ftrivial-auto-var-init=zero)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" var)
    check_c_compiler_flag(${flag} ${var})
    if(${var})
        target_compile_options(logtrain_flags INTERFACE ${flag})
    endif()
endforeach()
unset(CMAKE_REQUIRED_FLAGS)

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
target_link_options(logtrain_flags INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie> -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)

if(LOGTRAIN_SANITIZE)
    target_compile_options(logtrain_flags INTERFACE
        -fsanitize=${LOGTRAIN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(logtrain_flags INTERFACE -fsanitize=${LOGTRAIN_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    # _FORTIFY_SOURCE needs optimisation and does not mix with the sanitizers.
    target_compile_options(logtrain_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(LOGTRAIN_FUZZ)
    target_compile_options(logtrain_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
